"""Rows of a local data file: JSON lines, one JSON document, CSV or TSV, each also gzipped; Parquet.

The suffix tells which, unless a format is named (some published `.json` files hold JSON lines). A mistake in a file raises
a `UserError` that names the file and the line.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TextIO, get_args

from fmtbench.errors import UserError

Format = Literal["jsonl", "json", "csv", "tsv", "parquet"]
FOUND = "found"
"""A value of `delimiter`: use the one found in the file's first line."""
DELIMITERS = ",;\t"
SEPARATOR = re.compile(r"sep=(.)\r?\n")
"""A first line with which Excel is told the delimiter."""
AS_UTF8 = "save it as UTF-8 (a spreadsheet calls that CSV UTF-8), or convert it, such as by iconv -f latin1 -t utf-8"


def read_rows(
    path: Path, written: Format | None, records: str | None, columns: tuple[str, ...], delimiter: str | None = None
) -> list[dict[str, Any]]:
    """All rows, in order. `records` is the key of the list in a JSON document, `columns` names a CSV without a header.

    `delimiter` is the character between a CSV's cells, or `FOUND`; None takes the format's own.
    """
    found = written or path.name.removesuffix(".gz").rpartition(".")[2]
    if found == "jsonl":
        return read_jsonl(path)
    if found == "json":
        return _document_rows(path, records)
    if found in ("csv", "tsv"):
        return _csv_rows(path, columns, found, delimiter)
    if found == "parquet":
        return _parquet_rows(path)
    raise UserError(f"data file {path}: '{found}' is no format that can be read; allowed are {', '.join(get_args(Format))}")


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The objects in a JSON-lines file; blank lines are skipped, and anything else is an error that names its line."""
    return list(stream_jsonl(path))


def stream_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """The same, one at a time, so that a log of any length fits into memory."""
    with _readable(path), _opened(path) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _object(path, number, line)


def _opened(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="\n")
    return open(path, encoding="utf-8-sig", newline="\n")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raises `UserError` if there is no such file, or what is read from it is not text."""
    if not path.is_file():
        raise UserError(f"data file {path} does not exist: check the path (data_root, or the file's name)")
    try:
        yield
    except UnicodeDecodeError as error:
        raise UserError(
            f"data file {path} cannot be read as UTF-8 text (byte {error.object[error.start]:#04x}): {AS_UTF8}"
        ) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"data file {path} cannot be read as UTF-8 text: {error}") from error


def _text(path: Path) -> str:
    with _readable(path):
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return content.decode("utf-8-sig")


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        return parse_object(line)
    except UserError as error:
        raise UserError(f"{path}, line {number}: {error}") from error


def parse_object(line: str) -> dict[str, Any]:
    """A line as a JSON object. Raises `UserError`, without the line's place, for anything else."""
    try:
        value = json.loads(line, object_pairs_hook=_single)
    except (ValueError, RecursionError) as error:
        raise UserError(f"not JSON ({error})") from error
    if not isinstance(value, dict):
        raise UserError(f"expected a JSON object, got {type(value).__name__}")
    return value


def _document_rows(path: Path, records: str | None) -> list[dict[str, Any]]:
    text = _text(path)
    try:
        document = json.loads(text, object_pairs_hook=_single)
    except (ValueError, RecursionError) as error:
        lines = ": a file of JSON lines has format=jsonl" if "Extra data" in str(error) else ""
        raise UserError(f"{path}: not JSON ({error}){lines}") from error
    rows = document.get(records) if records and isinstance(document, dict) else document
    if not isinstance(rows, list):
        keys = f": give records=, one of {', '.join(list(document)[:9])}" if not records and isinstance(document, dict) else ""
        under = f" under {records!r}" if records else ""
        raise UserError(f"{path}: expected a list of rows{under}, got {type(rows).__name__}{keys}")
    for row, value in enumerate(rows):
        if not isinstance(value, dict):
            raise UserError(f"{path}, row {row}: expected a JSON object, got {type(value).__name__}")
    return rows


def _single(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object without repeated names, of which JSON would silently keep the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"the name {_doubled([name for name, _ in pairs])!r} occurs twice in one object")
    return found


def _doubled(names: list[str]) -> str | None:
    return next((name for place, name in enumerate(names) if name in names[:place]), None)


def _parquet_rows(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise UserError(f"data file {path} does not exist: check the path (data_root, or the file's name)")
    import pyarrow as pa  # heavy, and needed only here
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"data file {path} cannot be read as Parquet: {error}") from error
    check_header(path, table.column_names)
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def check_header(path: Path, header: list[str]) -> None:
    """Raises `UserError` for repeated names. Any number of columns may be unnamed, as spreadsheets leave them on the right."""
    if (twice := _doubled([name for name in header if name.strip()])) is not None:
        raise UserError(f"{path}: two columns are called {twice!r}: each needs a name of its own ({', '.join(header)})")


def _dialect(text: str, written: str, delimiter: str | None) -> dict[str, Any]:
    """In a TSV a quotation mark is an ordinary character, unless a delimiter is asked for: spreadsheets quote there, too."""
    if delimiter is None:
        return {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if written == "tsv" else {}
    if delimiter != FOUND:
        return {"delimiter": delimiter}
    if written == "tsv":
        return {"delimiter": "\t"}
    # The first line alone: cells may hold delimiters, column names do not.
    try:
        found = csv.Sniffer().sniff(text.lstrip("\r\n").partition("\n")[0].rstrip("\r"), DELIMITERS)
        return {"delimiter": found.delimiter, "skipinitialspace": found.skipinitialspace}
    except csv.Error:
        return {}  # a single column


def _csv_rows(path: Path, columns: tuple[str, ...], written: str, delimiter: str | None) -> list[dict[str, Any]]:
    text = _text(path)
    if delimiter and (said := SEPARATOR.match(text)):
        text, delimiter = text[said.end() :], said[1] if delimiter == FOUND else delimiter
    lines = csv.reader(io.StringIO(text, newline=""), strict=True, **_dialect(text, written, delimiter))
    try:
        header = list(columns) or next(lines, [])
        rows = [fields for fields in lines if fields]
    except csv.Error as error:
        raise UserError(f"{path}, line {lines.line_num}: not CSV ({error})") from error
    check_header(path, header)
    for row, fields in enumerate(rows):
        if len(fields) != len(header):
            raise UserError(f"{path}, row {row}: {len(fields)} columns, expected {len(header)} ({', '.join(header)})")
    return [dict(zip(header, fields)) for fields in rows]
