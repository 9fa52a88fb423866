"""What `make latest` installs, runs and says."""

from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.conftest import ROOT
from tests.latest import EXTRAS, FILES, LEFT_OUT, TESTS, Case, asked, bounds, cases, lifted, of, table

REPORT = """<testsuites><testsuite>
<testcase classname="tests.test_decoders" name="test_walks[3-guidance]"/>
<testcase classname="tests.test_decoders" name="test_walks[3-xgrammar]">
<failure message="AssertionError: bits&#10;differ">long</failure></testcase>
<testcase classname="tests.test_decoders" name="test_else"><skipped message="no GPU"/></testcase>
<testcase classname="" name="tests.test_grammar"><error message="collection failure">ImportError</error></testcase>
<testcase classname="tests.test_embed_mteb.TestIt" name="test_task"/>
</testsuite></testsuites>"""


@pytest.mark.parametrize(
    ("line", "without"),
    [
        ("outlines==1.3.*", "outlines"),
        ("transformers>=5.16.1,<5.20", "transformers>=5.16.1"),
        ("pydantic-extra-types[pycountry]>=2.10", "pydantic-extra-types[pycountry]>=2.10"),
        ("one!=1.2,<2", "one!=1.2"),
        ("plain", "plain"),
    ],
)
def test_upper_bounds_go_and_nothing_else(line: str, without: str) -> None:
    assert lifted(line) == without


def test_everything_that_has_tests_is_asked_for() -> None:
    lines = [lifted(line) for line in asked(ROOT / "pyproject.toml")]
    assert not [line for line in lines if "<" in line or "==" in line]
    names = {Requirement(line).name for line in lines}
    assert TESTS.keys() - names == {"vllm"}, "which comes with a torch of its own"
    assert not names & set(LEFT_OUT)
    assert bounds(ROOT / "pyproject.toml").keys() == TESTS.keys()
    assert set(EXTRAS) >= {"decoders", "embed"}


def test_the_files_are_there() -> None:
    assert [name for name in FILES if not (ROOT / "tests" / f"{name}.py").is_file()] == []


def test_a_report_is_read(tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(REPORT)
    ran = cases(tmp_path / "report.xml")
    assert ran == [
        Case("test_decoders", "test_walks[3-guidance]", ""),
        Case("test_decoders", "test_walks[3-xgrammar]", "AssertionError: bits"),
        Case("test_grammar", "tests.test_grammar", "collection failure"),
        Case("test_embed_mteb", "test_task", ""),
    ]
    assert [one.name for one in of("xgrammar", ran)] == ["test_walks[3-xgrammar]"]
    assert len(of("outlines", ran)) == 3, "all that its files hold"


def test_the_table_says_what_broke_and_what_is_beyond_its_bounds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(REPORT)
    releases = {"transformers": "5.24.0", "xgrammar": "0.2.9", "outlines": "1.3.3"}
    monkeypatch.setattr("tests.latest.installed", lambda library: releases.get(library, ""))
    allowed = bounds(ROOT / "pyproject.toml") | {"transformers": "<5.20,>=5.16.1", "xgrammar": ">=0.2.8"}
    lines = table(allowed, cases(tmp_path / "report.xml"), [Case("test_cut", "test_one", "")]).splitlines()
    assert lines[0].split() == ["library", "bounds", "installed", "tests"]
    (transformers,) = (line for line in lines if line.startswith("transformers"))
    assert transformers.split("  ")[-1] == "none ran"
    assert "5.24.0 (beyond the bounds)" in transformers
    (xgrammar,) = (line for line in lines if line.startswith("xgrammar"))
    assert xgrammar.endswith("1 failed")
    assert "beyond" not in xgrammar
    assert [line.split()[-1] for line in lines if line.startswith("all else")] == ["passed"]
    assert "mteb" in next(line for line in lines if "not installed" in line and "mteb" in line)
    assert lines[-2:] == [
        "broke: test_decoders.py::test_walks[3-xgrammar]: AssertionError: bits",
        "broke: test_grammar.py::tests.test_grammar: collection failure",
    ]
