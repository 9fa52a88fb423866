"""What an importer gives: records with the names that `rescore` reads by default, and what could not be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """A line or a record of which nothing can be scored."""

    where: str
    """`line 7`, or the name of a file inside an archive."""
    reason: str


Found = dict[str, Any] | Unreadable


@dataclass(frozen=True, kw_only=True)
class Importer:
    """One kind of log.

    `records`: what a file holds, in order, and never more of it at a time than one record. `known`: whether a file is of this
    kind, by its name and its first characters. `parts`: where the parts of a row are unless the user says.
    """

    records: Callable[[Path], Iterator[Found]]
    known: Callable[[Path, str], bool]
    parts: Mapping[str, str] = field(default_factory=dict)


def opened_first(path: Path, characters: int = 4_000) -> str:
    """The first characters of a file, gzipped or not; what is no UTF-8 is replaced."""
    import gzip
    import zlib

    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            return file.read(characters).decode("utf-8-sig", "replace")
    except (OSError, EOFError, zlib.error):
        return ""
