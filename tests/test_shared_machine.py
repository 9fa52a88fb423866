"""What another user of the machine may have put into the folders that all share."""

from __future__ import annotations

from pathlib import Path

from tests.commanding import messages, process

SWEEP = ("-m", "backend=scripted", "task=[addition]", "condition=[direct]", "limit=1", "name=x", "seed=0,1")


def test_a_sweep_writes_nothing_into_the_folder_that_all_share(tmp_path: Path) -> None:
    shared, mine, state = (tmp_path / name for name in ("shared", "mine", "state"))
    (shared / "fmtbench-multirun").mkdir(parents=True)
    mine.write_text("untouched")
    (shared / "fmtbench-multirun" / "multirun.yaml").symlink_to(mine)
    variables = {"TMPDIR": str(shared), "XDG_STATE_HOME": str(state)}
    done = process("run", *SWEEP, f"results={tmp_path / 'r'}", **variables)
    assert done.code == 0, messages(done)
    assert mine.read_text() == "untouched"
    assert [path.name for path in shared.iterdir()] == ["fmtbench-multirun"]
    assert (state / "fmtbench" / "multirun" / "multirun.yaml").is_file()


def test_without_the_variable_it_is_the_home_folder(tmp_path: Path) -> None:
    done = process("run", *SWEEP, f"results={tmp_path / 'r'}", XDG_STATE_HOME="", HOME=str(tmp_path))
    assert done.code == 0, messages(done)
    assert (tmp_path / ".local" / "state" / "fmtbench" / "multirun" / "multirun.yaml").is_file()
