"""CSV and TSV with a header, a row at a time. A row of another width is told with its line, and the next one is read."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from fmtbench.errors import UserError
from fmtbench.running.importing.base import Found, Importer, Unreadable
from fmtbench.tasks.data_file import check_header

ENDINGS = ("csv", "tsv")
LONGEST = 100_000_000
"""Characters of a cell; the csv module's own limit is less than a long reply."""


def table_rows(path: Path) -> Iterator[Found]:
    """Raises `UserError` where two columns have one name."""
    with _opened(path) as file:
        rows = csv.reader(file, _dialect(path), strict=True)
        header: list[str] | None = None
        while True:
            try:
                cells = _next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield Unreadable(where=f"line {rows.line_num}", reason=f"not CSV ({error})")
                continue
            except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error) as error:
                yield Unreadable(where=f"after line {rows.line_num}", reason=f"the file cannot be read on ({error})")
                return
            if header is None:
                header = cells
                check_header(path, header)
            elif cells:
                yield _row(header, cells, rows.line_num)


def _next(rows: Iterator[list[str]]) -> list[str]:
    """The limit is one for the whole process, in which others rely on it."""
    before = csv.field_size_limit(LONGEST)
    try:
        return next(rows)
    finally:
        csv.field_size_limit(before)


def _row(header: list[str], cells: list[str], line: int) -> Found:
    if len(cells) == len(header):
        return dict(zip(header, cells))
    return Unreadable(where=f"line {line}", reason=f"{len(cells)} columns, expected {len(header)} ({', '.join(header)})")


def _opened(path: Path) -> TextIO:
    if not path.is_file():
        raise UserError(f"data file {path} does not exist: check transcripts=")
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return open(path, encoding="utf-8-sig", newline="")


class Tabs(csv.excel_tab):
    """A quotation mark is a character like any other in a TSV."""

    quoting = csv.QUOTE_NONE


def _dialect(path: Path) -> type[csv.Dialect]:
    return Tabs if path.name.removesuffix(".gz").endswith(".tsv") else csv.excel


def _known(path: Path, first: str) -> bool:
    return path.name.removesuffix(".gz").rpartition(".")[2].lower() in ENDINGS


TABLE = Importer(records=table_rows, known=_known)
