"""Rows as one data frame."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from fmtbench.errors import UserError
from fmtbench.types import Row


def load_rows(root: Path | str) -> pd.DataFrame:
    """All rows under a results folder, one line a scored generation, with the columns of `types.Row`."""
    files = sorted(Path(root).rglob("rows.parquet"))
    if not files:
        raise UserError(f"{root} holds no rows.parquet: run the experiment first, or give its folder, such as results/quickstart")
    return check_rows(pd.concat([pd.read_parquet(file) for file in files], ignore_index=True))


def check_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The same frame, if it has every column of a row."""
    absent = [name for name in Row.__annotations__ if name not in rows.columns]
    if absent:
        raise UserError(f"these rows lack the columns {absent}: they are not rows that fmtbench wrote")
    return rows
