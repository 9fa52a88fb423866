"""R18: hostile names, and a hostile results folder under every command that reads one: nothing is run or written outside."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fmtbench.errors import UserError
from fmtbench.store.folder import NAME, cell_path
from tests.commanding import command, within
from tests.hostile_folders import NAMES, SPOILS
from tests.made_rows import coins, made_rows

READS = {
    "score": "score results=R",
    "tables": "tables results=R output=O table=[main,contrasts] figure=[forest]",
    "page": "tables results=R output=O format=html",
    "lm_eval": "export results=R output=O format=lm_eval",
    "inspect": "export results=R output=O format=inspect",
    "datasets": "export results=R output=O format=datasets",
    "packed": "export results=R output=O format=packed",
    "plan": "plan task=[addition] condition=[direct] pilot=R limit=5",
}
"""Every command that reads a results folder and needs no weights. `notebooks`, `verify` and the study of `embed` read rows and
run folders through the same functions."""
SHORT = {("tables", "rows are a pickle"), ("score", "the config names os.system"), ("lm_eval", "rows are a pipe"),
         ("plan", "the manifest is a pipe"), ("score", "a part leads outside")}  # fmt: skip
SECONDS = 60


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("finished")
    few = ("backend=scripted", "task=[addition]", "condition=[free_cot,direct]", "limit=4", "name=x", f"results={root}")
    assert command("run", *few).code == 0
    return root / "x"


def cases() -> list[Any]:
    pairs = [(reads, spoil) for spoil in SPOILS for reads in READS]
    return [pytest.param(*pair, marks=() if pair in SHORT else pytest.mark.slow, id="-".join(pair)) for pair in pairs]


@pytest.mark.parametrize(("reads", "spoil"), cases())
def test_a_hostile_folder(tmp_path: Path, finished: Path, reads: str, spoil: str, monkeypatch: pytest.MonkeyPatch) -> None:
    outside, results = tmp_path / "outside", tmp_path / "r"
    outside.mkdir()
    (outside / "mine.txt").write_text("mine\n")
    (outside / "rows.parquet").write_text("mine\n")
    shutil.copytree(finished, results)
    (cell,) = results.rglob("direct/plain-seed0")
    SPOILS[spoil](cell, outside)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(outside)
    folders = {"R": str(results), "O": str(tmp_path / "o")}
    name, *words = (
        word if "=" not in word else f"{word.split('=', 1)[0]}={folders.get(word.split('=', 1)[1], word.split('=', 1)[1])}"
        for word in READS[reads].split()
    )
    with within(SECONDS):
        done = command(name, *words)
    assert done.code in (0, 1, 2)
    assert "Traceback" not in done.err
    errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == (done.code != 0), done.err
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"mine.txt": "mine\n", "rows.parquet": "mine\n"}
    assert set(os.listdir(tmp_path)) <= {"outside", "r", "o", "state"}


# -- names


@pytest.mark.parametrize("place", range(4))
def test_no_name_is_a_path(tmp_path: Path, place: int) -> None:
    """70 names as each part of a cell's path: turned down in one line, or a folder below the results."""
    for name in NAMES:
        parts = ["e", "b", "t", "c", "p-seed0"]
        parts[place] = name
        if not NAME.fullmatch(name):
            with pytest.raises(UserError, match="cannot be a folder name") as said:
                cell_path(tmp_path, *parts)
            assert len(str(said.value).splitlines()) == 1
        else:
            path = cell_path(tmp_path, *parts)
            assert path.resolve() == tmp_path.resolve().joinpath(*parts)
            assert len(path.relative_to(tmp_path).parts) == 5
    assert sum(NAME.fullmatch(name) is not None for name in NAMES) < 12


@pytest.mark.parametrize("name", [NAMES[2], *(pytest.param(name, marks=pytest.mark.slow) for name in NAMES)])
def test_a_run_of_a_hostile_name(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written = name.replace("\\", "\\\\").replace("'", "\\'")
    few = ("backend=scripted", "task=[addition]", "condition=[direct]", "limit=1", f"results={tmp_path / 'r'}")
    done = command("run", *few, f"name='{written}'")
    assert done.code in (0, 2), done.err
    assert len([line for line in done.err.splitlines() if line.startswith("error: ")]) == (done.code == 2)
    assert set(os.listdir(tmp_path)) <= {"r"}
    assert not (tmp_path / "r").exists() or len(os.listdir(tmp_path / "r")) == 1
    assert not Path("/outside").exists()


STORABLE = [name for name in NAMES if name and "\x00" not in name]


# A font has no form for a control character, and a label of 300 characters leaves a figure no room.
@pytest.mark.filterwarnings("ignore:Glyph", "ignore:constrained_layout")
@pytest.mark.parametrize(
    "column", ["task", *(pytest.param(column, marks=pytest.mark.slow) for column in ("condition", "backbone", "prompt"))]
)
@pytest.mark.parametrize(
    "reads",
    ["lm_eval", *(pytest.param(name, marks=pytest.mark.slow) for name in ("inspect", "datasets", "packed", "tables", "page"))],
)
def test_rows_with_hostile_names(tmp_path: Path, reads: str, column: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The names become file names of exports, and titles of tables and figures."""
    (tmp_path / "r").mkdir()
    monkeypatch.chdir(tmp_path)
    names = STORABLE if reads not in ("tables", "page") else [*STORABLE[::6], "$\\nope{$"]
    frames = [
        made_rows({"free_cot": coins(k, 4), "direct": coins(k + 1, 4)}).assign(**{column: name}) for k, name in enumerate(names)
    ]
    pd.concat(frames).drop_duplicates(["backbone", "task", "condition", "prompt", "item_id"]).to_parquet(
        tmp_path / "r" / "rows.parquet"
    )
    folders = {"R": str(tmp_path / "r"), "O": str(tmp_path / "o")}
    name, *words = READS[reads].replace("=R", f"={folders['R']}").replace("=O", f"={folders['O']}").split()
    done = command(name, *words)
    assert done.code in (0, 1, 2)
    assert "Traceback" not in done.err
    assert set(os.listdir(tmp_path)) <= {"r", "o"}
    assert os.listdir(tmp_path / "r") == ["rows.parquet"]
    folders = {path.parent.relative_to(tmp_path / "o") for path in (tmp_path / "o").rglob("*") if path.is_file()}
    assert all(folder in (Path(), Path("appendix")) or "data" in folder.parts for folder in folders)
    assert not Path("/outside").exists()
