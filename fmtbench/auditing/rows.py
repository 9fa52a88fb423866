"""rows.parquet against the journal, which is scored again in a temporary folder and compared byte for byte."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fmtbench.auditing.findings import Finding, why_unread
from fmtbench.auditing.journal import copy_whole
from fmtbench.conditions.condition import Condition
from fmtbench.errors import DecoderError, UserError
from fmtbench.running.job import Cell
from fmtbench.running.scoring import score
from fmtbench.store.folder import CHECKSUM, RunFolder
from fmtbench.store.rows import VERSION_KEY
from fmtbench.tasks.base import Task
from fmtbench.types import ROWS_VERSION

NAME = "rows.parquet"
SOURCES: dict[str, Callable[[Path, Path], object]] = {
    "requests.jsonl": shutil.copyfile,
    "generations.jsonl": copy_whole,
    "manifest.json": shutil.copyfile,
}
"""The files that rows are derived from, together with the cell's config."""
BESIDE = ("finished", CHECKSUM)
"""What a manifest says about its own writing. Scoring writes everything else again, or leaves it alone."""
LATER = ("whitespace", "thought_unasked")
"""Facts that earlier versions did not write."""
LATER_COLUMNS = ("realised_order",)
"""Columns that rows of earlier versions lack."""
MOST_ROWS = 5
"""The most differing rows to name; the rest are only counted."""


def check_rows(folder: Path, cell: Cell, task: Task, condition: Condition, manifest: Mapping[str, Any]) -> list[Finding]:
    """The differences between the rows in the folder and those that the journal gives today."""
    if why := why_unread(folder / NAME):
        return [Finding(file=NAME, what=f"{why}: the run's command writes it, and so does experiments.score")]
    with TemporaryDirectory(prefix="fmtbench-audit-") as place:
        again = Path(place)
        for name, copy in SOURCES.items():
            if not why_unread(folder / name):
                copy(folder / name, again / name)
        try:
            with _silence():
                score(RunFolder(again), cell, task, condition)
        except (UserError, DecoderError) as error:
            return [Finding(file="generations.jsonl", what=f"cannot be scored: {str(error).replace(str(again), str(folder))}")]
        return [*compare(folder / NAME, again / NAME), *_compare_outcomes(manifest, RunFolder(again).manifest())]


def compare(there: Path, again: Path) -> list[Finding]:
    """Byte for byte; or row by row where the file names another version of pyarrow, which writes other bytes."""
    if there.read_bytes() == again.read_bytes():
        return []
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(there) as old, pq.ParquetFile(again) as new:
            version = (old.schema_arrow.metadata or {}).get(VERSION_KEY, b"none").decode(errors="replace")
            if version != str(ROWS_VERSION):
                what = f"holds rows of version {version}, and this is version {ROWS_VERSION}: score the folder again"
                return [Finding(file=NAME, what=what)]
            writers = old.metadata.created_by, new.metadata.created_by
            lacking = [name for name in LATER_COLUMNS if name not in old.schema_arrow.names]
            found = _differences(
                old.read(), new.read().drop_columns([name for name in lacking if name in new.schema_arrow.names])
            )
    except (OSError, ValueError, pa.ArrowException) as error:
        return [Finding(file=NAME, what=f"cannot be read as parquet ({' '.join(str(error).split())[:200]})")]
    if found or lacking or writers[0] != writers[1]:
        return found
    return [
        Finding(file=NAME, place=f"at byte {_first_difference(there, again)}", what="its bytes differ, and every row reads alike")
    ]


def _differences(old: Any, new: Any) -> list[Finding]:
    if old.schema != new.schema:
        return [Finding(file=NAME, what=f"has the columns {old.schema.names}, scored again {new.schema.names}, or other types")]
    if old.num_rows != new.num_rows:
        return [Finding(file=NAME, what=f"has {old.num_rows} rows, and the journal gives {new.num_rows}")]
    pairs = zip(old.to_pylist(), new.to_pylist())
    unlike = [(number, one, other) for number, (one, other) in enumerate(pairs) if repr(one) != repr(other)]
    found = [_row(number, one, other) for number, one, other in unlike[:MOST_ROWS]]
    more = len(unlike) - len(found)
    return [*found, *([Finding(file=NAME, what=f"{more} more rows differ")] if more > 0 else [])]


def _row(number: int, old: Mapping[str, Any], new: Mapping[str, Any]) -> Finding:
    columns = [name for name in old if repr(old[name]) != repr(new[name])]
    told = ", ".join(f"{name} is {old[name]!r:.60}, scored again {new[name]!r:.60}" for name in columns[:3])
    return Finding(file=NAME, place=f"row {number}, item {new['item_id']} (key {new['request_key'][:12]})", what=told)


def _first_difference(there: Path, again: Path) -> int:
    old, new = there.read_bytes(), again.read_bytes()
    return next((place for place, (one, other) in enumerate(zip(old, new)) if one != other), min(len(old), len(new)))


def _compare_outcomes(told: Mapping[str, Any], now: Mapping[str, Any]) -> list[Finding]:
    known = [name for name in now if name not in BESIDE and (name in told or name not in LATER)]
    unlike = [name for name in known if told.get(name) != now[name]]
    return [
        Finding(file="manifest.json", what=f"{name} is {told.get(name)!r:.80}, and the journal gives {now[name]!r:.80}")
        for name in unlike
    ]


@contextmanager
def _silence() -> Iterator[None]:
    """Mutes scoring, which logged what it has to say about a cell when it was first scored."""
    loggers = [logging.getLogger(name) for name in ("fmtbench.running.scoring", "fmtbench.store.folder")]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, was in zip(loggers, before):
            logger.disabled = was
