"""A packed study: for each backbone, the rows of all its cells in one file, and beside it what their run folders say about them.

    DIR/<backbone>/rows.parquet     the rows
    DIR/<backbone>/cells.parquet    one row per cell: its key, and its `manifest` and `config` as JSON

`interchange.packed` writes it; everything that reads a results folder can also read a pack.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fmtbench.analysis.rows.missing import CELL
from fmtbench.errors import UserError
from fmtbench.store.manifest import misshapen
from fmtbench.store.stored import misshapen_config

CELLS = "cells.parquet"


class Packed(NamedTuple):
    """One cell of a pack."""

    rows: pd.DataFrame
    manifest: dict[str, Any]
    config: dict[str, Any]


def unpack(rows: pd.DataFrame, path: Path) -> Iterator[Packed]:
    """The cells of a pack, in the order of `path`, its `cells.parquet`. Raises `UserError` where it is damaged or incomplete."""
    left = dict(iter(rows.groupby(CELL, sort=False)))
    try:
        for cell in pq.read_table(path).to_pylist():
            own = left.pop(tuple(cell[name] for name in CELL), rows.iloc[:0])
            manifest, config = json.loads(cell["manifest"]), json.loads(cell["config"])
            if wrong := misshapen(manifest) or misshapen_config(dict(config)):
                raise ValueError(wrong)
            yield Packed(own, manifest, config)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({[*str(error).splitlines(), ''][0]}): pack the study again") from error
    if left:
        raise UserError(f"{path} lacks the cell {'/'.join(map(str, next(iter(left))))}: pack the study again")
