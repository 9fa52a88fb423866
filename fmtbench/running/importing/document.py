"""One JSON object whose bulk is a list under one of its keys, read element by element: only one element is held.

document = Document(path, "request_states")
document.head             every other key that comes before the list
for element in document: ...
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fmtbench.errors import UserError

PIECE = 1 << 20
DECODER = json.JSONDecoder()
BLANKS = " \t\r\n"


class Document:
    """Raises `UserError` where the file is no object, or has no such list."""

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.key, self.head = path, key, dict[str, Any]()
        self._file = gzip.open(path, "rt", encoding="utf-8-sig") if path.suffix == ".gz" else open(path, encoding="utf-8-sig")  # noqa: SIM115
        self._text, self._at, self._over, self.torn = "", 0, False, ""
        self._to_list()

    def __iter__(self) -> Iterator[Any]:
        """The elements; `torn` says afterwards why the rest is missing, if it is."""
        with self._file:
            while not self.torn and self._next() != "]":
                if self._next() == ",":
                    self._at += 1
                try:
                    yield self._value()
                except ValueError as error:
                    self.torn = str(error)

    def _to_list(self) -> None:
        try:
            self._take("{")
            while True:
                name = self._value()
                self._take(":")
                if name == self.key and self._next() == "[":
                    self._at += 1
                    return
                self.head[str(name)] = self._value()
                self._take(",")
        except (ValueError, RecursionError) as error:
            self._file.close()
            raise UserError(f"{self.path}: no list {self.key!r} in it ({error})") from error

    def _take(self, character: str) -> None:
        if self._next() != character:
            raise ValueError(f"expected {character!r}, got {self._next()!r}")
        self._at += 1

    def _next(self) -> str:
        """The next character that is no blank; empty at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in BLANKS:
                self._at += 1
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def _value(self) -> Any:
        self._next()
        while True:
            try:
                value, end = DECODER.raw_decode(self._text, self._at)
            except ValueError:
                if not self._more():
                    raise
            else:
                if end < len(self._text) or not self._more():  # a number may go on
                    self._at = end
                    return value

    def _more(self) -> bool:
        """Read on, twice as much as is held, so that a long value is not parsed again for every piece."""
        if self._over:
            return False
        held = self._text[self._at :]
        try:
            piece = self._file.read(max(PIECE, len(held)))
        except (EOFError, UnicodeDecodeError, gzip.BadGzipFile, zlib.error) as error:
            self.torn, piece = f"the file cannot be read on ({error})", ""
        self._over = not piece
        self._text, self._at = held + piece, 0
        return bool(piece)
