"""Disks that are full, fail, may not be written or have no quota left, under every command that writes and needs no model.

Small file systems of memory are real ones: the kernel says ENOSPC and EROFS. They can be mounted by root alone, so without that
right these tests are skipped, and those of `test_torn_files.py` stand for them, where the kernel limits a file's size.
"""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fmtbench.store import files
from tests.commanding import Done, command

Disk = Callable[[int], Path]
CELLS = ("backend=scripted", "task=[addition]", "condition=[free_cot,json_schema]", "name=x")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Mounts a file system of so many kilobytes."""
    mounted: list[Path] = []

    def mount(kilobytes: int) -> Path:
        place = tmp_path / f"disk-{len(mounted)}"
        place.mkdir()
        words = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", str(place)]
        if os.geteuid() or subprocess.run(words, capture_output=True, check=False).returncode:
            pytest.skip("only root can mount a file system of memory")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, which the commands that read are given."""
    root = tmp_path_factory.mktemp("study")
    assert command("run", *CELLS, "limit=20", f"results={root}").code == 0
    replies = (json.dumps({"text": f"The answer is {i}.", "gold": str(i)}) for i in range(20))
    (root / "replies.jsonl").write_text("\n".join([*replies, '{"text": "18"}']))
    return root


def words_of(name: str, study: Path, output: Path) -> tuple[str, ...]:
    """The words of a command that reads the study, if it reads any, and writes below `output`."""
    run, *options = name.split()
    reads = {
        "run": (*CELLS, "limit=40", f"results={output}"),
        "score": (f"results={output / 'copy'}",),
        "rescore": (f"transcripts={study / 'replies.jsonl'}", "answer=number", f"output={output / 'out'}"),
    }
    return (run, *reads.get(run, (f"results={study / 'x'}", f"output={output / 'out'}")), *options)


def prepare(name: str, study: Path, output: Path) -> None:
    """`score` writes where it reads."""
    if name == "score":
        subprocess.run(["cp", "-r", str(study / "x"), str(output / "copy")], check=True)


WRITING = (
    "run",
    "score",
    "rescore",
    "tables table=[main] figure=[forest]",
    "tables format=html",
    "export format=lm_eval",
    "export format=inspect",
    "export format=datasets",
    "export format=packed",
)
SHORT = {"run", "rescore"}


def filled(place: Path, room: int) -> Path:
    """A file that leaves so many bytes."""
    filler = place / "filler.bin"
    free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
    filler.write_bytes(bytes(max(0, free - room)))
    return filler


def whole(place: Path) -> dict[str, bytes]:
    """What lies there, but for what is made anew with a time in it."""
    kept = ("generations.jsonl", "rows.parquet", "requests.jsonl", "config.yaml")
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.name in kept}


def complained(done: Done, reason: str) -> None:
    lines = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert (done.code, len(lines), "Traceback" in done.err) == (1, 1, False), done.err
    assert re.match(rf"error: cannot write /\S+ \({reason}\): .*(\d+ (more )?bytes are needed|no byte|may be missing)", lines[0])


def nothing_half(place: Path) -> None:
    left = [path for path in place.rglob("*") if path.is_file() and path.name not in (".lock", "filler.bin", "run.log")]
    assert not [path for path in left if ".part-" in path.name or not path.stat().st_size]


def rooms() -> list[Any]:
    """Kilobytes of the disk, and what is left of them when a command starts."""
    found = [(name, 300, 4096) for name in WRITING if name in SHORT]
    more = [(name, size, room) for name in WRITING for size in (300, 5000) for room in (0, 4096, 20_480)]
    slow = [pytest.param(*case, marks=pytest.mark.slow) for case in more if case not in found]
    return [*found, *slow]


@pytest.mark.parametrize(("name", "kilobytes", "room"), rooms())
def test_a_full_disk(disk: Disk, study: Path, name: str, kilobytes: int, room: int) -> None:
    """One line, nothing lost, and the same command goes on when there is room."""
    place = disk(kilobytes)
    prepare(name, study, place)
    filler, before = filled(place, room), whole(place)
    done = command(*words_of(name, study, place))
    if done.code == 0:
        assert room, "nothing can be written without room"
        return
    complained(done, "No space left on device")
    nothing_half(place)
    now = whole(place)
    assert all(now[path] == content for path, content in before.items()), "what was there is there"
    records = {path: lines.splitlines() for path, lines in now.items() if path.endswith("generations.jsonl")}
    filler.unlink()
    if kilobytes > 300 or name != "tables format=html":  # whose page has the reader's script, and is larger
        again = command(*words_of(name, study, place))
        assert again.code == 0, again.err
        assert all(whole(place)[path].splitlines()[: len(lines)] == lines for path, lines in records.items())


@pytest.mark.parametrize("room", [100_000, *(pytest.param(room, marks=pytest.mark.slow) for room in (40_000, 60_000, 200_000))])
def test_a_disk_that_fills_while_a_model_answers(disk: Disk, room: int) -> None:
    """Part of the replies has room. They stay, and only the others are asked when there is more."""
    place = disk(1000)
    filler = filled(place, room)
    done = command("run", *CELLS, "limit=100", f"results={place}")
    complained(done, "No space left on device")
    kept = {path: path.read_bytes() for path in place.rglob("generations.jsonl")}
    assert all(content.endswith(b"\n") for content in kept.values() if content), "no half line is left"
    filler.unlink()
    assert command("run", *CELLS, "limit=100", f"results={place}").code == 0
    for path, content in kept.items():
        assert path.read_bytes().startswith(content)
    lines = [line for path in place.rglob("generations.jsonl") for line in path.read_bytes().splitlines()]
    assert len(lines) == len({json.loads(line)["key"] for line in lines}) == 200


def test_a_disk_that_may_only_be_read(disk: Disk, study: Path) -> None:
    place = disk(1000)
    prepare("score", study, place)
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
    for name in ("run", "score", "rescore", "export format=lm_eval"):
        done = command(*words_of(name, study, place))
        (line,) = [line for line in done.err.splitlines() if line.startswith("error: ")]
        assert done.code in (1, 2)
        assert str(place) in line
        assert "Read-only file system" in line or "may write" in line


CODES = {"EIO": errno.EIO, "EROFS": errno.EROFS, "EDQUOT": errno.EDQUOT}


def failures() -> list[Any]:
    cases = [(name, call, code) for name in WRITING for call in ("replace", "fsync") for code in CODES]
    short = {("rescore", "replace", "EDQUOT"), ("score", "fsync", "EIO")}
    return [pytest.param(*case, marks=() if case in short else pytest.mark.slow) for case in cases]


@pytest.mark.parametrize(("name", "call", "code"), failures())
def test_a_disk_that_fails(tmp_path: Path, study: Path, monkeypatch: pytest.MonkeyPatch, name: str, call: str, code: str) -> None:
    """The kernel's word for it comes from a shim, at whatever is written first."""
    prepare(name, study, tmp_path)
    before = whole(tmp_path)

    def fails(*_: Any) -> None:
        raise OSError(CODES[code], os.strerror(CODES[code]))

    with monkeypatch.context() as patch:
        patch.setattr(files.os, call, fails)
        complained(command(*words_of(name, study, tmp_path)), os.strerror(CODES[code]))
    nothing_half(tmp_path)
    assert whole(tmp_path) == before
    if name in SHORT:
        assert command(*words_of(name, study, tmp_path)).code == 0
