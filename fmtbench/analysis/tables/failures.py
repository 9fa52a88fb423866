"""How replies end: the share of each status, by condition. Denominators are always all replies."""

from __future__ import annotations

from typing import get_args

import pandas as pd

from fmtbench.types import Status

STATUSES: tuple[str, ...] = get_args(Status)


def failure_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each backbone, task and condition: `replies`, and the share of every status, 0 where it does not occur."""
    keys = ["backbone", "task", "condition"]
    counts = rows.groupby([*keys, "status"], observed=True).size().unstack("status", fill_value=0)
    counts = counts.reindex(columns=[*STATUSES, *sorted(set(counts.columns) - set(STATUSES))], fill_value=0)
    replies = counts.sum(axis=1)
    shares = counts.div(replies, axis=0)
    shares.insert(0, "replies", replies)
    shares.columns.name = None
    return shares.reset_index()
