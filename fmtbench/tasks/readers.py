"""Rows of a local data file: JSON lines, one JSON document, CSV or TSV; each also gzipped.

The suffix says which, unless a format is named (some published `.json` files hold JSON lines). A mistake in a file ends
in a `UserError` that names the file and the line.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TextIO, get_args

from fmtbench.errors import UserError

Format = Literal["jsonl", "json", "csv", "tsv"]


def read_rows(path: Path, written: Format | None, records: str | None, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """All rows, in order. `records` is the key of the list in a JSON document, `columns` names a CSV without a header."""
    found = written or path.name.removesuffix(".gz").rpartition(".")[2]
    if found == "jsonl":
        return read_jsonl(path)
    if found == "json":
        return _document_rows(path, records)
    if found in ("csv", "tsv"):
        return _csv_rows(path, columns, found)
    raise UserError(f"data file {path}: '{found}' is no format that can be read; allowed are {', '.join(get_args(Format))}")


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON-lines file; blank lines are skipped, anything else names its line."""
    return list(stream_jsonl(path))


def stream_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """The same, one at a time, so that a log of any length fits."""
    with _readable(path), _opened(path) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _object(path, number, line)


def _opened(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="\n")  # type: ignore[return-value]
    return open(path, encoding="utf-8-sig", newline="\n")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raises `UserError` where the file is none, or what is read from it is no text."""
    if not path.is_file():
        raise UserError(f"data file {path} does not exist: check the path (data_root, or the file's name)")
    try:
        yield
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"data file {path} cannot be read as UTF-8 text: {error}") from error


def _text(path: Path) -> str:
    with _readable(path):
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return content.decode("utf-8-sig")


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}, line {number}: not JSON ({error})") from error
    if not isinstance(value, dict):
        raise UserError(f"{path}, line {number}: expected a JSON object, got {type(value).__name__}")
    return value


def _document_rows(path: Path, records: str | None) -> list[dict[str, Any]]:
    text = _text(path)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error})") from error
    rows = document.get(records) if records and isinstance(document, dict) else document
    if not isinstance(rows, list):
        raise UserError(f"{path}: expected a list of rows{f' under {records!r}' if records else ''}, got {type(rows).__name__}")
    for row, value in enumerate(rows):
        if not isinstance(value, dict):
            raise UserError(f"{path}, row {row}: expected a JSON object, got {type(value).__name__}")
    return rows


def _csv_rows(path: Path, columns: tuple[str, ...], written: str) -> list[dict[str, Any]]:
    """A quotation mark is a character like any other in a TSV."""
    text = io.StringIO(_text(path), newline="")
    tabbed: dict[str, Any] = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
    lines = csv.reader(text, strict=True, **(tabbed if written == "tsv" else {}))
    try:
        header = list(columns) or next(lines, [])
        rows = [fields for fields in lines if fields]
    except csv.Error as error:
        raise UserError(f"{path}, line {lines.line_num}: not CSV ({error})") from error
    for row, fields in enumerate(rows):
        if len(fields) != len(header):
            raise UserError(f"{path}, row {row}: {len(fields)} columns, expected {len(header)} ({', '.join(header)})")
    return [dict(zip(header, fields)) for fields in rows]
