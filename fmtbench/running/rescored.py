"""Rescored transcripts as a packed study, which tables, contrasts, the page and exports read like results of our own.

DIR/rows.parquet     the rows, with the two columns of the ladder of object readers
DIR/cells.parquet    one line a cell: its key, what was read and how, and its condition's place on the axes, where that is given
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fmtbench.conditions.axes import Axes
from fmtbench.errors import UserError
from fmtbench.readers.contract import Contract, DemandedObject
from fmtbench.running.arms import Tally
from fmtbench.running.logs import Transcript
from fmtbench.running.parts import PartFiles, chunks
from fmtbench.running.transcripts import ReadingRules, Scored
from fmtbench.store.files import replacing
from fmtbench.store.provenance import provenance
from fmtbench.store.rows import count_rows, rows_writer
from fmtbench.types import ROW_FIELDS, Row

BATCH = 1_000
"""Rows that are held at a time."""
LADDER = {
    "ladder_step": "string",
    "ladder_correct": "bool",
    "ladder_forgave": "string",
    "latent_start": "int64",
    "latent_end": "int64",
}
"""The columns beyond those of `Row`, and their types."""
RESCORED = "rescored"
"""What a cell's config calls the settings by which its transcripts were read."""


def write_rows(
    path: Path,
    transcripts: Iterable[Transcript],
    reading: ReadingRules,
    tally: Tally,
    check: Callable[[], None] = lambda: None,
    made_of: str = "",
) -> None:
    """Score a stream into `path`. `check` may raise once all is scored, and `path` is then as it was.

    `made_of` says what the rows follow from (see `parts`): what was scored for the same before a kill is not scored again.
    """
    parts = PartFiles(path.parent, made_of)
    try:
        written = [_part(parts.path(number), chunk, reading, tally) for number, chunk in enumerate(chunks(transcripts))]
        check()
    except UserError:
        parts.remove()
        raise
    with rows_writer(path, LADDER) as write:
        for part in written:
            for rows in _batches(part):
                write(rows)
    parts.remove()


def _part(path: Path, chunk: Sequence[Transcript], reading: ReadingRules, tally: Tally) -> Path:
    if count_rows(path) == len(chunk):
        for rows in _batches(path):
            for row in rows:
                tally.add(Row(**{name: row[name] for name in ROW_FIELDS}))
        return path
    with rows_writer(path, LADDER) as write:
        for start in range(0, len(chunk), BATCH):
            scored = [reading.score(one) for one in chunk[start : start + BATCH]]
            write([_columns(one) for one in scored])
            for one in scored:
                tally.add(one.row)
    return path


def _batches(path: Path) -> Iterator[list[dict[str, Any]]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BATCH):
            yield batch.to_pylist()


def _columns(one: Scored) -> dict[str, Any]:
    return {**one.row.as_dict(), **{name: getattr(one, name) for name in LADDER}}


def write_cells(path: Path, tally: Tally, settings: Mapping[str, Any], axes: Mapping[str, Mapping[str, Any]]) -> None:
    """`settings`: how the transcripts were read; `axes`: the settings of conditions, by name."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    known = provenance()
    with replacing(path) as part:
        pq.write_table(pa.Table.from_pylist(list(_cells(tally, known, settings, axes))), part)


def _cells(
    tally: Tally, known: Mapping[str, Any], settings: Mapping[str, Any], axes: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    for (backbone, task, condition, prompt, seed), statuses in sorted(tally.statuses.items()):
        manifest = {**known, "status": "complete", "statuses": dict(sorted(statuses.items()))}
        config: dict[str, Any] = {RESCORED: settings}
        if condition in axes:
            config["condition"] = {condition: axes[condition]}
        key = {"backbone": backbone, "task": task, "condition": condition, "prompt": prompt, "seed": seed}
        yield {**key, "manifest": json.dumps(manifest), "config": json.dumps(config)}


def placed(conditions: Mapping[str, Any]) -> dict[str, Axes]:
    """The conditions on the axes. Raises `UserError` for a setting that is no axis, or for levels that contradict each other."""
    found = {}
    for name, settings in conditions.items():
        if not isinstance(settings, Mapping):
            raise UserError(
                f"conditions.{name}={settings}: give its axes, such as conditions.{name}={{reasoning: budget, words: 50}}"
            )
        try:
            found[name] = Axes(**{str(key): value for key, value in settings.items()})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, ("conditions", name, *first["loc"])))
            raise UserError(f"{where}: {first['msg'].removeprefix('Value error, ')} (the axes: {', '.join(_names())})") from error
    return found


def _names() -> list[str]:
    return list(Axes.__pydantic_fields__)  # type: ignore[attr-defined]


def demanded(conditions: Mapping[str, Axes]) -> dict[str, Contract]:
    """The contract of each condition that asks for JSON, with the names and the order of its fields."""
    asked = {name: axes.layout for name, axes in conditions.items() if axes.asked == "json"}
    return {
        name: DemandedObject(fields=layout.fields, answer=layout.answer, rationale=layout.rationale)
        for name, layout in asked.items()
    }
