"""What the suite says of itself: seconds per file, which tests share an engine, and what the light half needs."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, scope
from tests.light import LEFT_OUT, WHOLE_ONLY, package, requirements
from tests.seconds import by_file

TWO_FILES = {
    "test_quick.py": "def test_one(): pass\n",
    "test_slow.py": "import time\ndef test_a(): time.sleep(0.2)\ndef test_b(): pass\n",
}


def report(nodeid: str, when: str, duration: float) -> pytest.TestReport:
    return pytest.TestReport(nodeid, (nodeid, 0, nodeid), {}, "passed", None, when, duration=duration)  # type: ignore[arg-type]


def test_fixtures_and_tests_of_a_file_are_added_up() -> None:
    reports = [
        report("a.py::x", "setup", 2),
        report("a.py::x", "call", 1),
        report("b.py::y", "call", 4),
        report("a.py::z", "call", 0),
    ]
    assert by_file(reports) == [("b.py", 4, 1), ("a.py", 3, 2)]


def test_the_slowest_files_are_printed(tmp_path: Path) -> None:
    for name, text in TWO_FILES.items():
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "tests.seconds", "--files=1", "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    (line,) = [line for line in done.stdout.splitlines() if line.endswith(" tests)")]
    assert line.split()[0].endswith("test_slow.py"), done.stdout
    assert line.endswith("s  (2 tests)")


def test_tests_of_vllm_are_one_scope() -> None:
    """Also those that ask for the server, by whatever name; and a file is a scope otherwise."""
    assert {
        scope(one)
        for one in ("tests/test_vllm_apart.py::a", "tests/test_backends.py::a[vllm]", "tests/test_backends.py::a[served]")
    } == {"vllm"}
    assert scope("tests/test_backends.py::a[hf]") == "tests/test_backends.py"


def test_what_is_killed_is_forked_from_one_process() -> None:
    assert {scope(f"tests/{name}::a") for name in ("test_kills.py", "test_pipeline.py", "test_backbone.py")} == {"kills"}


def test_what_asks_for_vllm_is_in_its_scope(request: pytest.FixtureRequest) -> None:
    for item in request.session.items:
        if {"served", "served_engine", "vllm_engine"} & set(getattr(item, "fixturenames", ())):
            assert scope(item.nodeid) == "vllm", item.nodeid


def test_the_light_half_needs_all_but_what_brings_torch() -> None:
    needed = {package(one) for one in requirements(ROOT / "pyproject.toml")}
    assert {"pytest", "pandas", "outlines"} <= needed
    assert not needed & set(LEFT_OUT)
    assert all((ROOT / "tests" / name).is_file() for name in WHOLE_ONLY)
