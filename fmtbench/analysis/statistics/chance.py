"""The accuracy of guessing in a task, judged by its gold answers."""

from __future__ import annotations

import pandas as pd

from fmtbench.analysis.statistics.labels import ITEMS_PER_LABEL

FEW_GOLDS = 10


def chance_of(rows: pd.DataFrame) -> dict[str, float]:
    """By task: 1 over the number of distinct golds, where that is at most `FEW_GOLDS` and each stands for `ITEMS_PER_LABEL` items
    or more; else 0."""
    groups = rows.groupby("task", observed=True)
    table = pd.DataFrame({"golds": groups["gold"].nunique(), "items": groups["item_id"].nunique()})
    few = table["golds"].between(2, FEW_GOLDS) & (table["items"] >= ITEMS_PER_LABEL * table["golds"])
    return {str(task): 1 / number if closed else 0.0 for task, number, closed in zip(table.index, table["golds"], few)}
