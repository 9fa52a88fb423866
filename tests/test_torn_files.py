"""Side files after a power cut, links in a folder from elsewhere, disks without room: named, mended, and nothing lost."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fmtbench.errors import StorageError
from fmtbench.store import files
from fmtbench.store.files import replacing, write_text
from fmtbench.store.folder import RunFolder
from tests.commanding import Done, command
from tests.conftest import ROOT

TORN: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda _: b"",
    "halved": lambda content: content[: len(content) // 2],
    "nulled": lambda content: bytes(len(content)),
    "another": lambda _: b"[]\n",
}


def run(results: Path, *words: str) -> Done:
    few = ("backend=scripted", "task=[addition]", "condition=[free_cot]", "name=x", f"results={results}")
    return command("run", *few, *(words or ("limit=20",)))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    results = tmp_path_factory.mktemp("results")
    assert run(results).code == 0
    return results, {path.name: path.read_bytes() for path in cell(results).iterdir() if path.is_file()}


@pytest.fixture
def whole(finished: tuple[Path, dict[str, bytes]]) -> Iterator[Path]:
    """A finished run, put back afterwards."""
    results, contents = finished
    yield results
    for path in cell(results).iterdir():
        path.unlink()
    for name, content in contents.items():
        (cell(results) / name).write_bytes(content)


def cell(results: Path) -> Path:
    (path,) = results.rglob("plain-seed0")
    return path


def rows(results: Path) -> pd.DataFrame:
    return pd.read_parquet(cell(results) / "rows.parquet").drop(columns="seconds")


def torn_files(names: list[str], short: set[tuple[str, str]]) -> list[Any]:
    """Each file torn in each way; some in every run of the tests."""
    pairs = [(name, torn) for name in names for torn in TORN]
    return [pytest.param(*pair, marks=() if pair in short else pytest.mark.slow) for pair in pairs]


@pytest.mark.parametrize(
    ("name", "torn"),
    torn_files(
        ["manifest.json", "requests.jsonl", "config.yaml", "rows.parquet", "generations.jsonl"],
        {("manifest.json", "nulled"), ("requests.jsonl", "emptied"), ("rows.parquet", "halved"), ("generations.jsonl", "halved")},
    ),
)
def test_a_torn_file_is_mended_by_the_same_command(whole: Path, name: str, torn: str) -> None:
    before, path = rows(whole), cell(whole) / name
    path.write_bytes(TORN[torn](path.read_bytes()))
    done = run(whole)
    assert done.code == 0, done.err
    pd.testing.assert_frame_equal(rows(whole), before)
    manifest = json.loads((cell(whole) / "manifest.json").read_text())
    assert manifest["status"] == "complete"
    assert {"code", "packages", "sampling"} <= manifest.keys()
    if name == "manifest.json":
        assert "manifest.json is damaged" in done.err


@pytest.mark.parametrize(
    ("name", "torn"),
    torn_files(["requests.jsonl", "config.yaml", "manifest.json"], {("requests.jsonl", "emptied"), ("config.yaml", "nulled")}),
)
def test_score_names_a_torn_file_and_keeps_the_rows(whole: Path, name: str, torn: str) -> None:
    before, path = rows(whole), cell(whole) / name
    path.write_bytes(TORN[torn](path.read_bytes()))
    done = command("score", f"results={whole}")
    assert str(path) in done.err or f"{path.parent}: {name}" in done.err
    assert done.code == (0 if name == "manifest.json" else 2)
    pd.testing.assert_frame_equal(rows(whole), before)


def test_rows_never_shrink_without_a_word(whole: Path) -> None:
    done = run(whole, "limit=5")
    assert "rows.parquet has 5 rows now, and had 20: fewer items are planned; the replies to the others stay" in done.err
    assert len(rows(whole)) == 5
    again = run(whole)
    assert (again.code, len(rows(whole)), "to generate" in again.err) == (0, 20, True)
    assert "rows now" not in again.err


@pytest.mark.parametrize(
    "name", ["run.log", *(pytest.param(name, marks=pytest.mark.slow) for name in ("generations.jsonl", "manifest.json", ".lock"))]
)
def test_nothing_is_written_through_a_link(whole: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine\n")
    (cell(whole) / name).unlink(missing_ok=True)
    (cell(whole) / name).symlink_to(outside)
    for done in (run(whole), command("score", f"results={whole}")):
        assert done.code == 2
        assert f"{name} is a symbolic link" in done.err
    assert outside.read_text() == "mine\n"


def test_a_damaged_line_is_named_with_its_place(whole: Path) -> None:
    journal = cell(whole) / "generations.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:3], lines[3].replace(b'"text":"This', b'"text":"That'), *lines[4:]]))
    done = run(whole)
    assert done.err.count(f"line 4 (at byte {sum(map(len, lines[:3]))}) is damaged") == 1
    assert len(rows(whole)) == 20


def test_parts_that_a_kill_left_are_swept(tmp_path: Path) -> None:
    (tmp_path / ".rows.parquet.part-123").write_text("half")
    with RunFolder(tmp_path):
        assert not list(tmp_path.glob(".*.part-*"))


def test_an_old_part_goes_and_a_young_one_stays(tmp_path: Path) -> None:
    old, young = tmp_path / ".a.part-1", tmp_path / ".a.part-2"
    for part in (old, young):
        part.write_text("half")
    os.utime(old, (0, 0))
    write_text(tmp_path / "a", "whole")
    assert {path.name for path in tmp_path.iterdir()} == {"a", young.name}


def test_the_disk_has_the_bytes_before_the_name_and_the_name_before_the_end(tmp_path: Path, monkeypatch: Any) -> None:
    done: list[str] = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(files.os, name, lambda *args, real=real, name=name: (done.append(name), real(*args))[1])
    write_text(tmp_path / "a", "whole")
    assert done == ["fsync", "replace", "fsync"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_fault_of_the_disk_leaves_the_former_file(tmp_path: Path, monkeypatch: Any, call: str) -> None:
    (tmp_path / "a").write_text("former")

    def fails(*_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(files.os, call, fails)
    with pytest.raises(StorageError, match=r"/a \(Input/output error\): more than 5 bytes are needed; .* make room"):
        write_text(tmp_path / "a", "whole")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "former")]


def test_half_a_character_pair_is_written_as_its_escape(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "x\ud83dy")
    assert (tmp_path / "a").read_text() == "x\\ud83dy"


class Short:
    """A raw file that takes three bytes at a time, and at last none."""

    def __init__(self, room: int) -> None:
        self.room, self.content = room, b""

    def write(self, content: memoryview) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = bytes(content[: min(3, self.room)])
        self.room -= len(taken)
        self.content += taken
        return len(taken)

    def seek(self, *_: int) -> int:
        return len(self.content)

    def truncate(self, size: int) -> None:
        self.content = self.content[:size]


def test_a_write_that_takes_a_part_is_gone_on_with() -> None:
    file: Any = Short(room=100)
    files.append_whole(file, b"0123456789", Path("j"))
    assert file.content == b"0123456789"


def test_a_record_that_does_not_fit_leaves_no_half() -> None:
    file: Any = Short(room=15)
    files.append_whole(file, b"0123456789", Path("j"))
    with pytest.raises(StorageError, match=r"cannot write j \(No space left on device\): 10 more bytes are needed"):
        files.append_whole(file, b"abcdefghij", Path("j"))
    assert file.content == b"0123456789"


LIMITED = """
import resource, sys
from tests.commanding import command
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
done = command(*sys.argv[2:])
print(done.code, done.err.splitlines()[-1] if done.err else "")
"""


def limited(size: int, *words: str) -> str:
    """Exit code and last line of a command that may write no file above this size. Nor may Python: its own would be torn."""
    words = (sys.executable, "-B", "-c", LIMITED, str(size), *words)
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True).stdout


@pytest.mark.parametrize("size", [pytest.param(100, marks=pytest.mark.slow), 5_000])
def test_a_disk_without_room_ends_in_one_line_and_the_command_goes_on(tmp_path: Path, size: int) -> None:
    words = ("backend=scripted", "task=[addition]", "condition=[free_cot]", "name=x", f"results={tmp_path}", "limit=20")
    said = limited(size, "run", *words)
    assert re.match(r"1 error: cannot write \S+ \(File too large\): .*\d+ (more )?bytes are needed", said), said
    assert not [path for path in tmp_path.rglob("*") if ".part-" in path.name]
    assert all(path.stat().st_size for path in tmp_path.rglob("*.*") if path.is_file() and path.name != ".lock")
    assert run(tmp_path).code == 0
    (journal,) = tmp_path.rglob("generations.jsonl")
    assert len(journal.read_bytes().splitlines()) == 20, "none is lost, none is twice"


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(words, marks=pytest.mark.slow)
        for words in (("tables", "format=html"), ("tables",), ("export", "format=lm_eval"), ("score",))
    ],
)
def test_commands_that_read_leave_nothing_half(whole: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    out = () if words[0] == "score" else (f"output={tmp_path}",)
    said = limited(100, words[0], f"results={whole}", *words[1:], *out)
    assert re.match(r"1 error: cannot write \S+ \(File too large\): ", said), said
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and not path.stat().st_size]
    assert len(rows(whole)) == 20


def test_replacing_hands_on_what_is_no_fault_of_the_disk(tmp_path: Path) -> None:
    part = replacing(tmp_path / "a")
    part.__enter__().write_text("half")
    part.__exit__(KeyError, KeyError(), None)
    assert not list(tmp_path.iterdir())
