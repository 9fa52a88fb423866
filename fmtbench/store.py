"""The run folder: everything a cell has, in files that describe themselves.

    results/<experiment>/<backbone>/<task>/<condition>/<prompt>-seed<k>/
      config.yaml        what was asked for, resolved
      manifest.json      what ran: commit, versions, hardware, hashes, engine, decoder, times
      requests.jsonl     what the model is shown, item by item; rewritten by each plan
      generations.jsonl  what the model said: append-only, a checksum a line
      rows.parquet       derived: can be rebuilt from the two files above without a model
      run.log            one line an event

The path is made of content, so the same command lands in the same place and resuming is running it again. A line of
the journal is done once it is written: a kill loses at most the line that was being written, a power cut at most one
second of work.
"""

from __future__ import annotations

import json
import os
import re
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

from filelock import FileLock, Timeout

from fmtbench.errors import LockedError, UserError
from fmtbench.types import ROWS_VERSION, Constraint, Generation, Item, Message, Request, Row

if TYPE_CHECKING:
    import pyarrow as pa

SYNC_SECONDS = 1.0
HEAD = re.compile(rb'\{"crc32":"([0-9a-f]{8})",')
KEY = re.compile(rb'"key":"([0-9a-f]{64})"')
ERROR = b'"finish_reason":"error"'
"""Cannot stand inside a text of the journal: JSON escapes the quotes there."""
VERSION_KEY = b"fmtbench.rows"
"""Where the metadata of a rows.parquet says which version of rows it holds."""
NAME = re.compile(r"[A-Za-z0-9][\w.+-]{0,80}")


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One request of a cell, and the item that it asks."""

    item: Item
    sample: int
    request: Request
    after: str = ""
    """Key of the first pass, whose reply a second pass converts; empty for a first pass."""


def cell_path(results: Path, *parts: str) -> Path:
    """The folder of a cell. Every part is checked, so that no name can lead out of the results folder."""
    for part in parts:
        if not NAME.fullmatch(part):
            raise UserError(
                f"'{part}' cannot be a folder name: use letters, digits and . _ + - (at most 80, the first a letter or digit)"
            )
    return results.joinpath(*parts)


class RunFolder:
    """One cell on disk. Reading needs no lock; writing happens inside `with folder:`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path / ".lock", timeout=0)
        self._journal: BinaryIO | None = None
        self._synced = 0.0

    def __enter__(self) -> RunFolder:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout as error:
            raise LockedError(f"{self.path} is locked by another running process: wait for it, or set another name=") from error
        except OSError as error:
            raise UserError(
                f"cannot write to {self.path} ({error.strerror or error}): set results= to a folder you may write to"
            ) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._journal is not None:
            self._sync()
            self._journal.close()
            self._journal = None
        self._lock.release()

    # -- the journal

    def append(self, generation: Generation) -> None:
        """Write one generation; it survives a kill from here on."""
        if self._journal is None:
            self._cut_torn_line()
            self._journal = open(self._file("generations.jsonl"), "ab", buffering=0)  # noqa: SIM115
        self._journal.write(journal_line(asdict(generation)))
        if time.monotonic() - self._synced > SYNC_SECONDS:
            self._sync()

    def _sync(self) -> None:
        assert self._journal is not None
        os.fsync(self._journal.fileno())
        self._synced = time.monotonic()

    def _cut_torn_line(self) -> None:
        """Take off what a kill left half written behind the last line break: it was never acknowledged."""
        path = self._file("generations.jsonl")
        if not path.is_file() or path.stat().st_size == 0:
            return
        with open(path, "r+b") as journal:
            tail = _last_line(journal)
            if not tail.endswith(b"\n"):
                journal.truncate(path.stat().st_size - len(tail))
                self.log(f"cut {len(tail)} bytes of an unfinished line off generations.jsonl")

    def generations(self) -> Iterator[Generation]:
        """Every undamaged generation of the journal. A damaged line is left out, named in the log, and generated again."""
        for body in self._bodies():
            yield _generation(json.loads(b"{" + body))

    def done(self, *, errors: bool = True) -> set[str]:
        """Keys of the journal's generations, those that ended in an error too unless told otherwise.

        Lines are checked but not parsed: a million take seconds.
        """
        return {match[1].decode() for body in self._bodies() if (match := KEY.match(body)) and (errors or ERROR not in body)}

    def _bodies(self) -> Iterator[bytes]:
        """Each undamaged line behind its checksum."""
        path = self._file("generations.jsonl")
        if not path.is_file():
            return
        with open(path, "rb") as journal:
            for number, line in enumerate(journal, start=1):
                head = HEAD.match(line)
                if head and line.endswith(b"\n") and int(head[1], 16) == zlib.crc32(body := line[head.end() :]):
                    yield body
                elif line.endswith(b"\n"):
                    self.log(f"generations.jsonl line {number} is damaged (checksum) and is not used")

    # -- what is rewritten as a whole

    def write_requests(self, planned: Sequence[Planned]) -> None:
        lines = (json.dumps({"key": one.request.key, **asdict(one)}, ensure_ascii=False) + "\n" for one in planned)
        self._write("requests.jsonl", "".join(lines))

    def requests(self) -> list[Planned]:
        """What was planned last. Raises `UserError` where nothing was."""
        path = self._file("requests.jsonl")
        if not path.is_file():
            raise UserError(f"{self.path} holds no requests.jsonl: it is no run folder, or its run never started")
        with open(path, encoding="utf-8") as lines:
            return [_planned(json.loads(line)) for line in lines]

    def write_config(self, text: str) -> None:
        self._write("config.yaml", text)

    def write_manifest(self, facts: dict[str, Any]) -> None:
        self._write("manifest.json", json.dumps(facts, indent=2, ensure_ascii=False) + "\n")

    def manifest(self) -> dict[str, Any]:
        path = self._file("manifest.json")
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def write_rows(self, rows: Sequence[Row]) -> None:
        write_rows(self._file("rows.parquet"), rows)

    def log(self, line: str) -> None:
        if self.path.is_dir() and os.access(self.path, os.W_OK):
            with open(self._file("run.log"), "a", encoding="utf-8") as log:
                log.write(f"{datetime.now(UTC).isoformat(timespec='seconds')} {line}\n")

    def _file(self, name: str) -> Path:
        return self.path / name

    def _write(self, name: str, text: str) -> None:
        with replacing(self._file(name)) as part:
            part.write_text(text, encoding="utf-8")


class replacing:
    """`with replacing(path) as part:` write to `part`; it takes the place of `path` when the block ends well."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = path.with_name(f".{path.name}.part-{os.getpid()}")

    def __enter__(self) -> Path:
        return self.part

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            os.replace(self.part, self.path)
        else:
            self.part.unlink(missing_ok=True)


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Rows as parquet, with the types of `Row` even where there are none, or a column is all null."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with replacing(path) as part:
        pq.write_table(pa.Table.from_pylist([row.as_dict() for row in rows], schema=rows_schema()), part)


def rows_schema() -> pa.Schema:
    """What a `rows.parquet` is made of, and which version of it."""
    import pyarrow as pa

    types = {
        "str": pa.string(),
        "str | None": pa.string(),
        "Status": pa.string(),
        "int": pa.int64(),
        "int | None": pa.int64(),
        "bool": pa.bool_(),
        "float": pa.float64(),
    }
    columns = [(name, types[annotation]) for name, annotation in Row.__annotations__.items()]
    return pa.schema(columns, metadata={VERSION_KEY: str(ROWS_VERSION)})


def writable(folder: Path) -> Path:
    """The folder, made if need be. Raises `UserError` where that is not allowed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {folder} ({error.strerror}): give a folder you may write to") from error
    if not os.access(folder, os.W_OK):
        raise UserError(f"cannot write to {folder}: give a folder you may write to")
    return folder


def find_folders(root: Path) -> list[RunFolder]:
    """Every run folder under a path, in order. Raises `UserError` where there is none."""
    found = sorted(path.parent for path in root.rglob("requests.jsonl")) if root.is_dir() else []
    if not found:
        raise UserError(f"{root} holds no run folder: give the results folder of an experiment, such as results/quickstart")
    return [RunFolder(path) for path in found]


def journal_line(record: dict[str, Any]) -> bytes:
    body = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")[1:] + b"\n"
    return b'{"crc32":"%08x",' % zlib.crc32(body) + body


def _last_line(journal: BinaryIO) -> bytes:
    """From behind the last line break before the final byte to the end of the file."""
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


def _planned(record: dict[str, Any]) -> Planned:
    item, request = record["item"], record["request"]
    constraint = Constraint(**request["constraint"]) if request["constraint"] else None
    messages = tuple(Message(**message) for message in request["messages"])
    return Planned(
        item=Item(**{**item, "aliases": tuple(item["aliases"]), "choices": tuple(item["choices"])}),
        sample=record["sample"],
        after=record["after"],
        request=Request(**{**request, "messages": messages, "constraint": constraint}),
    )
