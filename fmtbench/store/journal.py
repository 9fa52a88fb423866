"""generations.jsonl: what the model said, append-only, with a checksum on each line.

    {"crc32":"5f0c9a1e","key":"7d0f...","text":"The answer is 18.", ...}

A line is done once it is written: a kill loses at most the line that was being written, a power cut at most one second of
work. A damaged line is never used; it is named in the log and generated again. Probes keep their records in the same way.
"""

from __future__ import annotations

import json
import os
import re
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from fmtbench.saving import unwritten
from fmtbench.store.files import append_whole, settle_names
from fmtbench.types import Generation

SYNC_SECONDS = 1.0
FIELDS = tuple(field.name for field in fields(Generation))
"""`asdict` copies every list, which took most of the time of an append."""
UNSAID = ("thought", "thought_tokens")
"""Left out of a line without a thought, so that replies without one are written as they always were."""
HEAD = re.compile(rb'\{"crc32":"([0-9a-f]{8})",')
KEY = re.compile(rb'"key":"([0-9a-f]{64})"')
ERROR, TRANSIENT = b'"finish_reason":"error"', b'"transient":true'
"""Cannot occur inside a text of the journal: JSON escapes the quotes there."""


class Lines:
    """Records with a `key` each, in one file that only grows. Reading needs no lock; appending needs the folder's.

    with Lines(path, say) as lines:
        lines.write({"key": 64 * "0", ...})
    """

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        self.path = path
        self._say = say
        """Receives notes on damage."""
        self._file: BinaryIO | None = None
        self._synced = 0.0
        self._named: set[int] = set()
        """Damaged lines that have been reported: a journal is read several times."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def write(self, record: dict[str, Any]) -> None:
        """Write one record, its `key` first; from here on it survives a kill."""
        if self._file is None:
            self._cut_torn_line()
            self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115
            settle_names(self.path.parent)
        append_whole(self._file, journal_line(record), self.path)
        if time.monotonic() - self._synced > SYNC_SECONDS:
            self._sync(self._file)

    def close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            with file:
                self._sync(file)

    def records(self) -> Iterator[dict[str, Any]]:
        """Every undamaged record, in the order in which they were written."""
        for body in self._bodies():
            yield json.loads(b"{" + body)

    def _sync(self, file: BinaryIO) -> None:
        try:
            os.fsync(file.fileno())
        except OSError as error:
            raise unwritten(self.path, error, "the last second of it may be missing") from error
        self._synced = time.monotonic()

    def _cut_torn_line(self) -> None:
        """Remove what a kill left half written after the last line break; it was never acknowledged."""
        if not self.path.is_file() or self.path.stat().st_size == 0:
            return
        with open(self.path, "r+b") as journal:
            tail = _last_line(journal)
            if not tail.endswith(b"\n"):
                journal.truncate(self.path.stat().st_size - len(tail))
                self._say(f"cut {len(tail)} bytes of an unfinished line off {self.path.name}")

    def _bodies(self) -> Iterator[bytes]:
        """What follows the checksum on each undamaged line."""
        if not self.path.is_file():
            return
        with open(self.path, "rb") as journal:
            offset = 0
            for number, line in enumerate(journal, start=1):
                offset += len(line)
                head = HEAD.match(line)
                if head and line.endswith(b"\n") and int(head[1], 16) == zlib.crc32(body := line[head.end() :]):
                    yield body
                elif line.endswith(b"\n") and number not in self._named:
                    self._named.add(number)
                    place = f"line {number} (at byte {offset - len(line)})"
                    self._say(f"{self.path.name} {place} is damaged (checksum) and is not used; the run asks again")


class Journal(Lines):
    """The journal of one cell: its generations."""

    def append(self, generation: Generation) -> None:
        """Write one generation; from here on it survives a kill."""
        self.write({name: value for name in FIELDS if (value := getattr(generation, name)) or name not in UNSAID})

    def generations(self) -> Iterator[Generation]:
        """Every undamaged generation, in the order in which they finished."""
        return map(_generation, self.records())

    def keys(self, stands: Callable[[Generation], bool] = lambda error: True) -> set[str]:
        """Keys of the generations that are results, and of the errors that stand; transient ones never do.

        Lines are checked but not parsed, except for errors, so that a million take seconds.
        """
        return {match[1].decode() for body in self._bodies() if (match := KEY.match(body)) and _is_done(body, stands)}


def _is_done(body: bytes, stands: Callable[[Generation], bool]) -> bool:
    if ERROR not in body:
        return TRANSIENT not in body
    return TRANSIENT not in body and stands(_generation(json.loads(b"{" + body)))


def journal_line(record: dict[str, Any]) -> bytes:
    body = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")[1:] + b"\n"
    return b'{"crc32":"%08x",' % zlib.crc32(body) + body


def _last_line(journal: BinaryIO) -> bytes:
    """What follows the last line break before the final byte, up to the end of the file."""
    size = journal.seek(0, os.SEEK_END)
    block = 4096
    while True:
        start = max(0, size - block)
        journal.seek(start)
        tail = journal.read(size - start)
        cut = tail.rfind(b"\n", 0, len(tail) - 1)
        if cut >= 0 or start == 0:
            return tail[cut + 1 :]
        block *= 4


def _generation(record: dict[str, Any]) -> Generation:
    lists: Iterable[str] = ("token_ids", "token_ends", "logprobs")
    return Generation(**{**record, **{name: tuple(record[name]) for name in lists}})
