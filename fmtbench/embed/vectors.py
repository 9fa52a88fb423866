"""What `experiments.embed texts=FILE` reads and writes: texts in, vectors out.

{"id": "a1", "text": "The capital of Peru is Lima."}

A file of any length needs the memory of one chunk. Each chunk is kept in its own file until all are there, so that a killed
command resumes where it stopped; then they become the row groups of `vectors.parquet`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fmtbench.embed.embedder import Encoded
from fmtbench.errors import UserError
from fmtbench.store.files import replacing, write_text
from fmtbench.types import whole

logger = logging.getLogger(__name__)

Rows = Callable[[], Iterable[Mapping[str, Any]]]
"""Reads the rows of a file from the beginning."""
QUIET_SECONDS = 20.0
PARTS = "vectors.parts"


class Checked(NamedTuple):
    """A file of texts that can all be embedded."""

    texts: int
    sha256: str
    """The hash of ids and texts."""


class TextRow(NamedTuple):
    """One row of the file."""

    id: str
    text: str


def texts_of(rows: Iterable[Mapping[str, Any]], name: str) -> Iterator[tuple[TextRow, int]]:
    """Each text, and how many of its surrogates without a partner became U+FFFD. Raises `UserError` for a row without `id` and
    `text`."""
    for number, row in enumerate(rows, start=1):
        identity, text = row.get("id"), row.get("text")
        if not isinstance(identity, str | int) or not isinstance(text, str):
            raise UserError(f"{name}, row {number}: needs 'id' and 'text', has {sorted(row)}")
        if not text.strip():
            raise UserError(f"{name}, row {number} (id {identity!r}): the text is empty: leave the row out")
        (named, one), (mended, other) = whole(str(identity)), whole(text)
        yield TextRow(named, mended), one + other


def check_texts(rows: Rows, name: str) -> Checked:
    """Read the whole file once. Raises `UserError`, naming the row, if an `id` or `text` is missing, a text is empty, or an id is
    repeated."""
    total, seen, halves = hashlib.sha256(b"["), array("Q"), 0  # eight bytes per id instead of the ids
    for number, (text, broken) in enumerate(texts_of(rows(), name)):
        written = json.dumps({"id": text.id, "text": text.text}, sort_keys=True)
        total.update(f"{', ' if number else ''}{written}".encode())
        seen.append(_short(text.id))
        halves += broken
    total.update(b"]")
    if not seen:
        raise UserError(f"{name} holds no texts: give JSON lines with id and text")
    _check_distinct(rows, name, np.frombuffer(seen, np.uint64))
    if halves:
        logger.warning("%s: %d halves of character pairs were replaced by U+FFFD", name, halves)
    return Checked(len(seen), total.hexdigest())


def _short(identity: str) -> int:
    return int.from_bytes(hashlib.blake2b(identity.encode(), digest_size=8).digest())


def _check_distinct(rows: Rows, name: str, hashes: Any) -> None:
    """If two ids have the same hash, read the file again and compare the ids themselves."""
    values, counts = np.unique(hashes, return_counts=True)
    suspect, known = {int(value) for value in values[counts > 1]}, set[str]()
    if not suspect:
        return
    for number, (text, _) in enumerate(texts_of(rows(), name), start=1):
        if text.id in known:
            raise UserError(f"{name}, row {number}: id {text.id!r} occurs twice: every text needs its own")
        if _short(text.id) in suspect:
            known.add(text.id)


class VectorFile:
    """`vectors.parquet` (id, vector) and `manifest.json` in a folder, written a chunk at a time.

    `facts` is everything that determines the vectors.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        self.folder = folder
        self.key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        self.parts = folder / PARTS / self.key[:16]

    def manifest(self) -> dict[str, Any] | None:
        """The manifest, if the file is finished and holds exactly these vectors; else None."""
        path = self.folder / "manifest.json"
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return found if found.get("key") == self.key and (self.folder / "vectors.parquet").is_file() else None

    def fill(self, rows: Rows, name: str, count: int, chunk: int, encode: Callable[[Sequence[str]], Encoded]) -> None:
        """Encode the chunks that are not there yet."""
        self.parts.mkdir(parents=True, exist_ok=True)
        texts, started, said, done = (text for text, _ in texts_of(rows(), name)), time.monotonic(), time.monotonic(), 0
        for number in range(-(-count // chunk)):
            taken = list(islice(texts, chunk))
            if self._part(number).is_file():
                continue
            self._write(number, [one.id for one in taken], encode([one.text for one in taken]))
            done, now = done + len(taken), time.monotonic()
            if now - said > QUIET_SECONDS:
                said, pace, there = now, done / (now - started), number * chunk + len(taken)
                logger.info("%d of %d texts, %.0f a second, %.0f s left", there, count, pace, (count - there) / pace)

    def join(self, facts: Mapping[str, Any], chunk: int) -> dict[str, Any]:
        """Join the parts as row groups of one file, write the manifest, and return it."""
        import pyarrow.parquet as pq

        parts, counts = sorted(self.parts.glob("*.parquet")), {"tokens": 0, "cut": 0}
        with replacing(self.folder / "vectors.parquet") as target, pq.ParquetWriter(target, _schema(parts[0])) as writer:
            for part in parts:
                table = pq.read_table(part)
                counts = {name: value + int(table.schema.metadata[name.encode()]) for name, value in counts.items()}
                writer.write_table(table.replace_schema_metadata(None), row_group_size=chunk)
        found = {**facts, **counts, "key": self.key}
        write_text(self.folder / "manifest.json", json.dumps(found, indent=2, ensure_ascii=False) + "\n")
        shutil.rmtree(self.folder / PARTS)
        return found

    def _part(self, number: int) -> Path:
        return self.parts / f"{number:06d}.parquet"

    def _write(self, number: int, ids: Sequence[str], encoded: Encoded) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        flat, width = pa.array(encoded.vectors.reshape(-1), pa.float32()), encoded.vectors.shape[1]
        table = pa.table({"id": pa.array(ids, pa.string()), "vector": pa.FixedSizeListArray.from_arrays(flat, width)})
        said = {"tokens": str(encoded.tokens), "cut": str(encoded.cut)}
        with replacing(self._part(number)) as part:
            pq.write_table(table.replace_schema_metadata(said), part)


def _schema(part: Path) -> Any:
    import pyarrow.parquet as pq

    return pq.read_schema(part).remove_metadata()
