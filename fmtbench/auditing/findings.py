"""What an audit finds: a file, a place in it, and what is wrong there.

generations.jsonl line 12 (at byte 4711): the checksum is 5f0c9a1e, and the line's is 77b1d0c2
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that is wrong."""

    file: str
    """The file's name in the run folder."""
    place: str = ""
    """A line with its offset, an item or a key; empty for the file as a whole."""
    what: str

    def __str__(self) -> str:
        return f"{self.file}{' ' if self.place else ''}{self.place}: {self.what}"


def judged_lines(path: Path, judge: Callable[[str, bytes], T]) -> Iterator[T | Finding]:
    """Yields what `judge` makes of each line and its place, and a finding for each `ValueError` it raises.

    Lines count from 1, bytes from 0.
    """
    offset = 0
    with open(path, "rb") as lines:
        for number, line in enumerate(lines, start=1):
            place = f"line {number} (at byte {offset})"
            offset += len(line)
            try:
                yield judge(place, line)
            except ValueError as error:
                yield Finding(file=path.name, place=place, what=str(error))


def why_unread(path: Path) -> str:
    """Why a file cannot be read (absent, a link, a pipe, no permission); empty if it can."""
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        return "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
    if not stat.S_ISREG(mode):
        return "is a link, a pipe or a folder, not a file"
    return "" if os.access(path, os.R_OK) else "cannot be read: its permissions do not allow it"
