"""What another user of the machine may have put into the folders that all share."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.commanding import command

SWEEP = ("-m", "backend=scripted", "task=[addition]", "condition=[direct]", "limit=1", "name=x", "seed=0,1")


def test_a_sweep_writes_nothing_into_the_folder_that_all_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared, mine, state = (tmp_path / name for name in ("shared", "mine", "state"))
    (shared / "fmtbench-multirun").mkdir(parents=True)
    mine.write_text("untouched")
    (shared / "fmtbench-multirun" / "multirun.yaml").symlink_to(mine)
    monkeypatch.setattr(tempfile, "tempdir", None)  # as in a process that has not asked for it yet
    monkeypatch.setenv("TMPDIR", str(shared))
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    done = command("run", *SWEEP, f"results={tmp_path / 'r'}")
    assert done.code == 0, done.err
    assert tempfile.gettempdir() == str(shared)
    assert mine.read_text() == "untouched"
    assert [path.name for path in shared.iterdir()] == ["fmtbench-multirun"]
    assert (state / "fmtbench" / "multirun" / "multirun.yaml").is_file()


def test_without_the_variable_it_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    done = command("run", *SWEEP, f"results={tmp_path / 'r'}")
    assert done.code == 0, done.err
    assert (tmp_path / ".local" / "state" / "fmtbench" / "multirun" / "multirun.yaml").is_file()
