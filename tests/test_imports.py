"""The import contracts hold, and each fails on a planted violation."""

import ast
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import ROOT

PLANTED = [
    ("fmtbench/tasks/sentiment.py", "import fmtbench.conditions.condition", "Imports go one way"),
    ("fmtbench/formats/text.py", "import fmtbench.backends.hf", "Imports go one way"),
    ("fmtbench/embed/pooling.py", "import fmtbench.conditions.condition", "Embedding knows no task, condition or format"),
    ("fmtbench/backends/base.py", "import fmtbench.backends.supervise", "No circles"),
    ("fmtbench/analysis/statistics/drift.py", "import fmtbench.embed.st", "Tables rebuild on a laptop"),
    ("fmtbench/store/folder.py", "import fmtbench.answers", "Imports go one way"),
    ("fmtbench/types.py", "import fmtbench.store.folder", "Imports go one way"),
    ("fmtbench/analysis/statistics/power.py", "import fmtbench.analysis.tables.contrasts", "Analysis goes one way"),
    ("fmtbench/analysis/tables/main.py", "import fmtbench.analysis.showing.text", "Analysis goes one way"),
    ("fmtbench/running/pipeline.py", "import omegaconf", "Only experiments know Hydra"),
    ("fmtbench/analysis/statistics/accuracy.py", "import torch", "Tables rebuild on a laptop"),
]


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(root), "PATH": ""}
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("copy")
    shutil.copy(ROOT / "pyproject.toml", root)
    for package in ("fmtbench", "experiments"):
        shutil.copytree(ROOT / package, root / package)
    return root


def test_the_contracts_hold(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_name_is_one_class() -> None:
    """Whoever reads a class's name need not ask which one is meant."""
    sources = [
        path.read_text(encoding="utf-8") for package in ("fmtbench", "experiments") for path in (ROOT / package).rglob("*.py")
    ]
    names = Counter(node.name for source in sources for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
    assert names.total() > 200
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize(("file", "line", "contract"), PLANTED, ids=[case[1] for case in PLANTED])
def test_a_planted_violation_fails(copy: Path, file: str, line: str, contract: str) -> None:
    path = copy / file
    whole = path.read_text()
    path.write_text(f"{whole}\n{line}\n")
    try:
        done = lint(copy)
    finally:
        path.write_text(whole)
    assert done.returncode == 1
    assert f"{contract} BROKEN" in done.stdout
