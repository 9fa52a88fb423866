"""A study small enough to commit: for each backbone, one parquet of rows, and one of its cells' manifests and configs.

Questions from data sets belong to their authors and are left out; those known to be generated stay. Paths are reduced to their
last part, so that a pack does not reveal whose machine made it. The same cells give the same bytes. `analysis.rows.packed`
reads it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fmtbench.analysis.rows.missing import CELL
from fmtbench.analysis.rows.packed import CELLS, Packed, unpack
from fmtbench.interchange.cells import ScoredCell, by_backbone, safe
from fmtbench.store.files import replacing
from fmtbench.store.rows import rows_schema
from fmtbench.types import OPTIONAL

LEVEL = 19
"""The zstd level; a study is packed once and read often."""


def write(cells: Sequence[ScoredCell], output: Path) -> list[Path]:
    """A folder with two files for each backbone. Returns the files."""
    written = []
    for backbone, own in by_backbone(cells).items():
        folder = output / safe(backbone)
        folder.mkdir(exist_ok=True)
        written += [_write(_rows(own), folder / "rows.parquet"), _write(_cells(own), folder / CELLS)]
    return written


def find(root: Path) -> list[Path]:
    """The folders of packs under a path."""
    return sorted(path.parent for path in root.rglob(CELLS) if path.with_name("rows.parquet").is_file())


def rewrite(folder: Path, changed: Callable[[Packed], pd.DataFrame]) -> pd.DataFrame:
    """Replaces the rows of a pack of any version, cell by cell, keeping their places. Returns the new rows."""
    rows = pq.read_table(folder / "rows.parquet").to_pandas()
    cells, parts = pq.read_table(folder / CELLS).to_pylist(), []
    for line, cell in zip(cells, unpack(rows, folder / CELLS)):
        parts.append(changed(cell))
        counts = parts[-1]["status"].value_counts(sort=False)
        line["manifest"] = _json(cell.manifest | {"statuses": {str(name): int(count) for name, count in counts.items()}})
    frame = pd.concat(parts).sort_index()
    known = [name for name in rows_schema().names if name in frame.columns]
    frame = frame[known + [name for name in frame.columns if name not in known]]
    _write(_table(frame), folder / "rows.parquet")
    _write(pa.Table.from_pylist(cells), folder / CELLS)
    return frame


def _write(table: pa.Table, path: Path) -> Path:
    with replacing(path) as part:
        pq.write_table(table, part, compression="zstd", compression_level=LEVEL)
    return path


def _rows(cells: Sequence[ScoredCell]) -> pa.Table:
    """Columns beyond those of `Row`, such as a probe's `mass`, keep their type."""
    own = [cell.rows if cell.generated else cell.rows.assign(question="") for cell in cells]
    return _table(pd.concat(own, ignore_index=True))


def _table(frame: pd.DataFrame) -> pa.Table:
    known = rows_schema(OPTIONAL)
    found = pa.Schema.from_pandas(frame, preserve_index=False)
    types = [known.field(name) if name in known.names else found.field(name) for name in frame.columns]
    return pa.Table.from_pandas(frame, schema=pa.schema(types, known.metadata), preserve_index=False).replace_schema_metadata(
        known.metadata
    )


def _cells(cells: Sequence[ScoredCell]) -> pa.Table:
    lines = [
        {**{name: getattr(cell, name) for name in CELL}, "manifest": _json(cell.manifest), "config": _json(cell.config)}
        for cell in cells
    ]
    return pa.Table.from_pylist(lines)


def _json(facts: Any) -> str:
    return json.dumps(without_folders(facts), ensure_ascii=False, separators=(",", ":"))


def without_folders(node: Any) -> Any:
    """The same, with absolute paths reduced to their last part."""
    if isinstance(node, dict):
        return {key: without_folders(value) for key, value in node.items()}
    if isinstance(node, list):
        return [without_folders(value) for value in node]
    return Path(node).name if isinstance(node, str) and node.startswith("/") else node
