"""The run folder under kills, torn lines, flipped bits and second writers."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmtbench.errors import LockedError, UserError
from fmtbench.store.folder import Planned, RunFolder, cell_path, find_folders
from fmtbench.types import Constraint, Generation, Item, Message, Request


def generation(key: str, text: str = "reply") -> Generation:
    return Generation(key=key, text=text, token_ids=(1, 2), token_ends=(3, 5), prompt_tokens=7, seconds=0.5)


def filled(path: Path, count: int = 5) -> Path:
    with RunFolder(path) as folder:
        for i in range(count):
            folder.append(generation(str(i)))
    return path / "generations.jsonl"


@given(st.text())
def test_any_text_comes_back(text: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as root, RunFolder(Path(root)) as folder:
        folder.append(generation("k", text))
        assert list(folder.generations()) == [generation("k", text)]


def test_lone_surrogates_come_back(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as folder:
        folder.append(generation("k", "a\udc80b"))
    assert next(RunFolder(tmp_path).generations()).text == "a\udc80b"


def test_a_journal_cut_at_any_byte_loses_only_the_torn_line(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    whole = journal.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == 10]
    for cut in range(len(whole)):
        journal.write_bytes(whole[:cut])
        kept = sum(end <= cut for end in ends)
        with RunFolder(tmp_path) as folder:
            assert len(list(folder.generations())) == kept
            folder.append(generation("new"))
            assert [one.key for one in folder.generations()] == [*map(str, range(kept)), "new"]


@pytest.mark.parametrize("flips", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_flipped_bit_is_found_and_named(tmp_path: Path, flips: int) -> None:
    journal = filled(tmp_path)
    whole, rng = journal.read_bytes(), random.Random(0)
    for _ in range(flips):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        journal.write_bytes(damaged)
        read = list(RunFolder(tmp_path).generations())
        assert 3 <= len(read) <= 4, "a flip damages one line, or joins or splits two"
        assert all(one == generation(one.key) for one in read)
    assert "is damaged" in (tmp_path / "run.log").read_text()


def test_one_writer_a_folder(tmp_path: Path) -> None:
    script = (
        f"from pathlib import Path; from fmtbench.store.folder import RunFolder; RunFolder(Path({str(tmp_path)!r})).__enter__()"
    )
    with RunFolder(tmp_path):
        second = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert second.returncode != 0
        assert "is locked by another running process" in second.stderr
        with pytest.raises(LockedError):
            RunFolder(tmp_path).__enter__()
    with RunFolder(tmp_path):
        pass


def test_a_deleted_lock_lets_nobody_in(tmp_path: Path) -> None:
    with RunFolder(tmp_path):
        (tmp_path / ".lock").unlink()
        with pytest.raises(LockedError):
            RunFolder(tmp_path).__enter__()
    with RunFolder(tmp_path), pytest.raises(LockedError):
        RunFolder(tmp_path).__enter__()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to"):
        RunFolder(tmp_path / "file" / "cell").__enter__()


def test_requests_come_back(tmp_path: Path) -> None:
    request = Request(messages=(Message(role="user", content="é?"),), constraint=Constraint(kind="regex", source="a"), seed=3)
    item = Item(id="i", question="q", gold="g", aliases=("h",), choices=("x", "y"))
    planned = [Planned(item=item, sample=1, request=request), Planned(item=item, sample=0, request=Request(messages=()))]
    with RunFolder(tmp_path) as folder:
        folder.write_requests(planned)
    assert RunFolder(tmp_path).requests() == planned


@pytest.mark.parametrize("name", ["..", "a/b", "", ".hidden", "a\x00b", "x" * 100, "a b"])
def test_no_name_leads_out_of_the_results(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="cannot be a folder name"):
        cell_path(tmp_path, "experiment", name)


def test_a_folder_without_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no run folder"):
        find_folders(tmp_path)
    with pytest.raises(UserError, match=r"holds no requests.jsonl"):
        RunFolder(tmp_path).requests()
