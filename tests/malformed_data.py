"""Malformed data files: good rows with one field spoilt in each way, and files that are none of their format.

    python -m tests.malformed_data      counts them

Rows of our own, one of each data set in `cases/rows`; which of its fields a task reads is the task's business, so a case says
only which field was spoilt, and how.
"""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROWS = Path(__file__).parent / "cases" / "rows"
GONE = object()
SPOILT: dict[str, Any] = {
    "gone": GONE,
    "null": None,
    "empty": "",
    "blank": " \n",
    "a list": [],
    "a list of lists": [[], []],
    "a mapping": {},
    "a NUL": "a\x00b",
    "half a pair": "a\ud83db",
    "deep": {"a": {"a": {"a": {}}}},
}
"""What a field is given instead of its value."""
LINES: dict[str, bytes] = {
    "not JSON": b'{"a": \n',
    "a list": b"[1, 2]\n",
    "a number": b"3\n",
    "two in a line": b'{"a": 1}{"a": 2}\n',
    "not UTF-8": b'{"a": "\xff\xfe"}\n',
    "NUL bytes": b"\x00" * 40,
    "too deep": b"[" * 100_000 + b"\n",
    "UTF-16": '{"a": 1}\n'.encode("utf-16"),
    "a page": b"<html><body>Not found</body></html>\n",
    "a pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00.",
    "nothing": b"",
    "blank lines": b"\n\n \n",
}
"""Files of JSON lines that are none."""
PACKED: dict[str, bytes] = {
    "no gzip": b'{"a": 1}\n',
    "half of it": gzip.compress(b'{"a": 1}\n' * 50, mtime=0)[:-9],
    "a wrong sum": gzip.compress(b'{"a": 1}\n', mtime=0)[:-8] + bytes(8),
    "nothing": b"",
}
CSV: dict[str, bytes] = {
    "a column too many": b"a,b\n1,2,3\n",
    "a column too few": b"a,b\n1\n",
    "an open quotation mark": b'a,b\n"1,2\n',
    "a header alone": b"a,b\n",
    "nothing": b"",
    "not UTF-8": b"a,b\n\xff,1\n",
}


class SpoiltRow(NamedTuple):
    """A row whose field was spoilt in this way."""

    field: str
    how: str
    row: dict[str, Any]


def spoilt_rows(row: dict[str, Any]) -> Iterator[SpoiltRow]:
    """The row once for each of its fields and each way to spoil one; fields of mappings below it are fields, too."""
    for path in _paths(row):
        for how, value in SPOILT.items():
            yield SpoiltRow(path[-1], how, _with(row, path, value))


def own_rows(name: str) -> list[dict[str, Any]]:
    """The rows of a data set in the tests; none where they are no JSON lines."""
    (path,) = ROWS.glob(f"{name}.*")
    if path.suffix != ".jsonl":
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _paths(row: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for key, value in row.items():
        yield (key,)
        if isinstance(value, dict):
            yield from ((key, *below) for below in _paths(value))


def _with(row: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(row)
    node = changed
    for step in path[:-1]:
        node = node[step]
    if value is GONE:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return changed


if __name__ == "__main__":
    names = sorted(path.stem for path in ROWS.iterdir())
    counts = {name: len(list(spoilt_rows(own_rows(name)[0]))) for name in names if own_rows(name)}
    print(sum(counts.values()), counts)
