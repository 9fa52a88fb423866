"""Hostile names, and results folders that somebody else has made: what is written into them, and what must not come of it."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATHS = (
    "..", "../..", "../../outside", "a/../../outside", "/outside", "//outside", "./a", "a/b", "a\\b", "..\\outside",
    "C:\\outside", "~", "~root",
    "$HOME", "${HOME}", "%2e%2e%2foutside", "file:///outside", "..%2foutside", "a/./b", "....//outside",
)  # fmt: skip
WORDS = (
    "", " ", ".", "-rf", "--help", "-", "a b", "a\tb", "a\nb", "a\r\nerror: all is well", "a\x00b", "\x1b[2J", "\x7f",
    "\u202egnp.exe", "\ufeffa", "e\u0301", "\u0130", "a" * 81, "a" * 300, "é" * 200,
)  # fmt: skip
CODE = (
    "$(touch outside)", "`touch outside`", "; touch outside", "| touch outside", "&& touch outside", "{{7*7}}", "${7*7}",
    "${oc.env:HOME}", "%s%n", "{0.__class__}", "<script>window.hit=1</script>", "=cmd|' /C calc'!A0", "+1", "@SUM(A1)",
    "\\input{outside}", "$\\nope{$", "\\write18{touch outside}", "'; DROP TABLE rows; --", "a,b=c", "[a]", "{a: 1}",
)  # fmt: skip
RESERVED = ("CON", "nul", "config.yaml", "rows.parquet", ".lock", ".hidden", "manifest.json", "run.log", "a:b", "a*b?")
NAMES = (*PATHS, *WORDS, *CODE, *RESERVED)
WAYS = ("experiment", "backbone", "task", "condition")
"""70 names, each as one of four parts of a path."""


class Payload:
    """A pickle of it leaves a folder behind where it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


Spoil = Callable[[Path, Path], None]
"""Takes a cell of a finished run and a folder outside, and makes it hostile."""


def pickled(name: str) -> Spoil:
    def spoil(cell: Path, outside: Path) -> None:
        (cell / name).write_bytes(pickle.dumps(Payload(outside / "hit")))

    return spoil


def linked(name: str, to: str) -> Spoil:
    def spoil(cell: Path, outside: Path) -> None:
        (cell / name).unlink(missing_ok=True)
        (cell / name).symlink_to(to.replace("OUTSIDE", str(outside)))

    return spoil


def piped(name: str) -> Spoil:
    def spoil(cell: Path, outside: Path) -> None:
        (cell / name).unlink(missing_ok=True)
        os.mkfifo(cell / name)

    return spoil


def filled(name: str, content: bytes) -> Spoil:
    def spoil(cell: Path, outside: Path) -> None:
        (cell / name).write_bytes(content)

    return spoil


def replaced(name: str, old: bytes, new: bytes) -> Spoil:
    def spoil(cell: Path, outside: Path) -> None:
        content = (cell / name).read_bytes()
        assert old in content
        (cell / name).write_bytes(content.replace(old, new))

    return spoil


def loops(cell: Path, outside: Path) -> None:
    (cell / "round").symlink_to(cell.parent)


def of_folders(name: str) -> Spoil:
    def spoil(cell: Path, outside: Path) -> None:
        (cell / name).unlink(missing_ok=True)
        (cell / name).mkdir()

    return spoil


TARGET = b"fmtbench.tasks.arithmetic.Addition"
SPOILS: dict[str, Spoil] = {
    "rows are a pickle": pickled("rows.parquet"),
    "the journal is a pickle": pickled("generations.jsonl"),
    "the config is a pickle": pickled("config.yaml"),
    "the manifest is a pickle": pickled("manifest.json"),
    "the config names os.system": replaced("config.yaml", TARGET, b"os.system"),
    "the config names a function": replaced("config.yaml", TARGET, b"fmtbench.interchange.packed.write"),
    "the config walks attributes": replaced("config.yaml", TARGET, b"fmtbench.analysis.rows.frame.pd.read_pickle"),
    "the config has a tag": filled("config.yaml", b"!!python/object/apply:os.system ['touch hit']\n"),
    "the config reads the environment": replaced("config.yaml", b"seed: 0", b"seed: ${oc.env:HOME}"),
    "the config lists a package": replaced("config.yaml", b"plugins: []", b"plugins: [antigravity]"),
    "the config has a million laughs": filled("config.yaml", b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"),
    "rows lead outside": linked("rows.parquet", "OUTSIDE/rows.parquet"),
    "rows lead to the system": linked("rows.parquet", "/etc/passwd"),
    "the journal leads to the system": linked("generations.jsonl", "/etc/passwd"),
    "the journal has no end": linked("generations.jsonl", "/dev/zero"),
    "the log leads outside": linked("run.log", "OUTSIDE/mine.txt"),
    "the lock leads outside": linked(".lock", "OUTSIDE/mine.txt"),
    "the manifest leads outside": linked("manifest.json", "OUTSIDE/mine.txt"),
    "a part leads outside": linked(f".rows.parquet.part-{os.getpid()}", "OUTSIDE/mine.txt"),
    "links go round": loops,
    "rows are a pipe": piped("rows.parquet"),
    "the journal is a pipe": piped("generations.jsonl"),
    "the manifest is a pipe": piped("manifest.json"),
    "the config is a pipe": piped("config.yaml"),
    "rows are a folder": of_folders("rows.parquet"),
    "the config is a folder": of_folders("config.yaml"),
    "the manifest is a folder": of_folders("manifest.json"),
    "rows are text": filled("rows.parquet", b"not parquet"),
    "rows end early": filled("rows.parquet", b"PAR1"),
    "the manifest is deep": filled("manifest.json", b"[" * 100_000),
    "the manifest holds numbers without end": filled("manifest.json", b'{"started": ' + b"9" * 10_000 + b"}"),
    "the manifest has a time that is none": filled("manifest.json", b'{"started": "yesterday"}'),
    "the manifest has a time that is a number": filled("manifest.json", b'{"started": 5}'),
    "the manifest has texts for mappings": filled("manifest.json", b'{"code": "x", "sampling": "y", "engine": "z"}'),
    "the manifest has mappings for texts": filled("manifest.json", b'{"status": {}, "barred": [1], "decoder": {"a": 1}}'),
    "the manifest has texts for counts": filled("manifest.json", b'{"transient": "many", "decoder": [5]}'),
    "the config has other shapes": filled(
        "config.yaml", b"task: [1]\ncondition: 5\nplanned: 3\nsampling: x\nprompt: {}\nseed: []\nbackbone: 1\nname: {}\n"
    ),
    "the config is a list": filled("config.yaml", b"[1, 2]\n"),
    "the config has an empty condition": replaced(
        "config.yaml", b"condition:\n  direct:", b"condition:\n  direct: []\nother:\n  direct:"
    ),
    "requests lack their keys": filled("requests.jsonl", b'{"a": 1}\n'),
    "requests are lists": filled("requests.jsonl", b"[1]\n"),
    "requests have other shapes": filled("requests.jsonl", b'{"key": 1, "request": {"messages": 5}}\n'),
    "requests are not text": filled("requests.jsonl", b"\xff\xfe\n"),
    "requests are deep": filled("requests.jsonl", b'{"item": ' * 50_000 + b"\n"),
}
