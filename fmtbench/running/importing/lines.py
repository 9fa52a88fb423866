"""JSON lines: what most people write. A torn line is told with its number, and the next one is read."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from fmtbench.errors import UserError
from fmtbench.running.importing.base import Found, Importer, Unreadable
from fmtbench.tasks.data_file import parse_object


def json_lines(path: Path) -> Iterator[Found]:
    """The objects of a file, gzipped or not. A gzip file that breaks off gives what it has."""
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _object(number, line)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        yield Unreadable(where=f"after line {number}", reason=f"the file breaks off ({error})")


def _object(number: int, line: bytes) -> Found:
    where = f"line {number}"
    try:
        return parse_object(line.decode("utf-8-sig" if number == 1 else "utf-8"))
    except UnicodeDecodeError as error:
        return Unreadable(where=where, reason=f"not UTF-8 ({error.reason} at byte {error.start})")
    except UserError as error:
        return Unreadable(where=where, reason=str(error))


def _known(path: Path, first: str) -> bool:
    return True


JSON = Importer(records=json_lines, known=_known)
