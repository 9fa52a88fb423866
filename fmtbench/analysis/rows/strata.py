"""Strata of items, for tasks that have them: a column that few studies have."""

from __future__ import annotations

import pandas as pd

from fmtbench.errors import UserError


def check_strata(rows: pd.DataFrame) -> None:
    """Raises `UserError` if rows put one item of a task into several strata."""
    if "stratum" not in rows.columns:
        return
    strata = rows.groupby(["task", "item_id"], observed=True)["stratum"].nunique()
    if (strata > 1).any():
        task, item = strata.index[(strata > 1).to_numpy().argmax()]
        own = rows[(rows["task"] == task) & (rows["item_id"] == item)]["stratum"]
        names = ", ".join(sorted(map(str, own.unique())))
        raise UserError(f"item {item} of {task} is in several strata ({names}): an item has one; score the folder again")
