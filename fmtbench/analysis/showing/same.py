"""Whether the files of a folder are what would be made now: text byte for byte; figures too, if the same libraries drew them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from fmtbench.analysis.showing.figures import drawn_by

FIGURES = (".pdf", ".png")
ENDINGS = (".csv", ".md", ".tex", *FIGURES)
FOLDERS = (Path(), Path("appendix"))


class Compared(NamedTuple):
    """One line per file in each list."""

    different: list[str]
    skipped: list[str]
    """Figures drawn by other versions of the libraries, which write other bytes for the same drawing."""
    same: list[str]


def compare(made: Path, kept: Path, names: Collection[str]) -> Compared:
    """Compares every file of `made` with its namesake in `kept`. Files of `kept` under one of `names` that were not made differ
    too."""
    found = Compared([], [], [])
    for path in sorted(path for path in made.rglob("*") if path.is_file()):
        name = path.relative_to(made)
        other = kept / name
        if not other.is_file():
            found.different.append(f"{other} is not there")
        elif path.read_bytes() == (there := other.read_bytes()):
            found.same.append(str(name))
        elif path.suffix in FIGURES and drawn_by().encode() not in there:
            found.skipped.append(f"{other} is not compared: it was not drawn by {drawn_by()}")
        else:
            found.different.append(f"{other} differs{_where(path, other)}")
    for name in (folder / f"{name}{ending}" for name in sorted(names) for folder in FOLDERS for ending in ENDINGS):
        if (kept / name).is_file() and not (made / name).is_file():
            found.different.append(f"{kept / name} is not made from these results")
    return found


def _where(path: Path, other: Path) -> str:
    """The first line that differs; empty for figures."""
    if path.suffix in FIGURES:
        return ""
    ours, theirs = (one.read_bytes().split(b"\n") for one in (path, other))
    first = next((i for i, pair in enumerate(zip(ours, theirs), start=1) if pair[0] != pair[1]), min(len(ours), len(theirs)) + 1)
    return f" from line {first} on"
