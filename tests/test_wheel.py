"""The wheel, installed where there is no clone: its commands, its presets, and what its messages name."""

from __future__ import annotations

import os
import re
import site
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import CONF, ROOT

PLUGIN = """
from dataclasses import dataclass
from fmtbench import Item, Number, Task

@dataclass(frozen=True, kw_only=True)
class Doubles(Task):
    size: int = 4

    def items(self):
        return [Item(id=str(i), question=f"What is twice {i}?", gold=str(2 * i)) for i in range(self.size)]

    def kind(self, item):
        return Number()
"""


class Installed(NamedTuple):
    """An environment with the wheel, and a folder to work in."""

    bin: Path
    work: Path

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"COLUMNS": "200"}
        line = [str(self.bin / words[0]), *words[1:]]
        return subprocess.run(line, cwd=self.work, env=variables, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("wheel")
    words = ("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(place), str(ROOT))
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, capture_output=True)
    (made,) = place.glob("fmtbench-*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """A new environment that holds the wheel alone; what it depends on is found in this one's folder."""
    root = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(root / "venv")], check=True)
    target = root / "venv" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    words = ("--python", str(root / "venv" / "bin" / "python"), "install", "--quiet", "--no-deps", "--no-compile", str(wheel))
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, capture_output=True)
    (target / "depends.pth").write_text("\n".join(site.getsitepackages()) + "\n")  # a folder of a .pth reads no .pth of its own
    work = root / "work"
    work.mkdir()
    return Installed(root / "venv" / "bin", work)


def test_the_wheel_holds_the_commands_conf_and_data(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    ours = {str(path.relative_to(CONF)) for path in CONF.rglob("*.yaml")}
    assert {name.removeprefix("fmtbench_experiments/conf/") for name in names if name.endswith(".yaml")} == ours
    data = {"fmtbench/py.typed", "fmtbench/tasks/capitals.csv", "fmtbench/tasks/words.txt", "fmtbench/analysis/page/main.js"}
    assert data | {"fmtbench_experiments/run.py", "fmtbench_experiments/notebooks/01_generations.py"} <= names
    assert {name.partition("/")[0] for name in names} == {
        "fmtbench",
        "fmtbench_experiments",
        next(name for name in names if ".dist-info/" in name).partition("/")[0],
    }


def test_every_command_is_listed_and_has_a_page(installed: Installed) -> None:
    done = installed("fmtbench", "--help")
    assert done.returncode == 0, done.stderr
    assert {path.stem for path in (ROOT / "experiments").glob("[!_]*.py")} == set(re.findall(r"^  (\w+)  ", done.stdout, re.M))
    page = installed("fmtbench", "run", "--help").stdout
    assert "  fmtbench run task=[gsm8k,last_letter]" in page
    assert "experiments." not in page.replace("fmtbench_experiments", "")
    for place in re.findall(r"; (\S+)\)", page):
        assert (installed.work / place).is_dir()


def test_a_study_from_another_folder(installed: Installed) -> None:
    """A run, its score and its tables."""
    (installed.work / "experiments").mkdir(exist_ok=True)
    (installed.work / "experiments" / "__init__.py").write_text("raise ImportError('not the commands of fmtbench')\n")
    done = installed("fmtbench", "run", "backend=scripted", "limit=3", "results=results", "name=first")
    assert done.returncode == 0, done.stderr
    assert "Δ strict" in done.stdout
    assert len(list((installed.work / "results" / "first").rglob("rows.parquet"))) == 15
    score = installed("fmtbench", "score", "results=results/first")
    assert score.returncode == 0, score.stderr
    assert score.stdout.endswith(done.stdout)
    tables = installed("fmtbench", "tables", "results=results/first", "table=[main,failures]", "figure=[statuses]")
    assert tables.returncode == 0, tables.stderr
    made = {path.name for path in (installed.work / "results" / "first" / "tables" / "appendix").iterdir()}
    assert {"main.csv", "failures.tex", "statuses.pdf"} <= made


def test_a_conf_and_a_package_of_the_users_own(installed: Installed) -> None:
    (installed.work / "my_conf" / "task").mkdir(parents=True)
    (installed.work / "my_conf" / "task" / "doubles.yaml").write_text("doubles:\n  _target_: mine.Doubles\n  size: 3\n")
    (installed.work / "mine.py").write_text(PLUGIN)
    words = ("fmtbench", "run", "--config-dir", "my_conf", "task=[doubles]", "backend=scripted", "results=own", "name=own")
    done = installed(*words, "plugins=[mine]")
    assert done.returncode == 0, done.stderr
    done = installed(*words)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "_target_ is 'mine.Doubles', allowed are classes and functions that are defined in fmtbench" in done.stderr
    done = installed("fmtbench", "score", "results=own/own")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), "a results folder lists no packages"
    assert installed("fmtbench", "score", "results=own/own", "plugins=[mine]").returncode == 0


def test_messages_name_files_that_are_there(installed: Installed) -> None:
    done = installed("fmtbench", "run", "task=[gsm]")
    named = re.search(r"is no option of (\S+): did you mean gsm8k", done.stderr)
    assert named
    assert (installed.work / named[1] / "gsm8k.yaml").is_file()
    done = installed("fmtbench", "score", "results/first")
    assert done.stderr == "error: results/first: arguments are key=value: fmtbench score results=results/first\n"
    done = installed("fmtbench", "catalogue")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    done = installed("fmtbench", "nobody")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_presets_by_name(installed: Installed) -> None:
    code = "import fmtbench; print(fmtbench.condition('json_schema').enforced, len(fmtbench.task('capitals').items()) > 50)"
    done = installed("python", "-c", code)
    assert done.stdout == "schema True\n", done.stderr
