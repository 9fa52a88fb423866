"""Published accuracies beside ours, where task and condition correspond; each with its source and how it was learned.

The numbers are in `published.csv`. They are other models, prompts and readers: what compares is the difference to the
study's own free answers, not the accuracy. JSON mode of closed services has no counterpart here and is left out.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from fmtbench.analysis.stats import accuracy
from fmtbench.errors import UserError

PUBLISHED = Path(__file__).with_name("published.csv")
FREE = "free_cot"


def published() -> pd.DataFrame:
    """`study model task condition published n learned source`; `n` is empty where the study does not say it."""
    return pd.read_csv(PUBLISHED, dtype={"n": "Int64"})


def replication_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line for each published number and each of our backbones that has its task and condition.

    Raises `UserError` where there is no such pair.
    """
    ours = pd.DataFrame(
        [
            {"backbone": backbone, "task": task, "condition": condition, **_ours(cell)}
            for (backbone, task, condition), cell in rows.groupby(["backbone", "task", "condition"], observed=True)
        ]
    )
    theirs = _with_free(published(), ["study", "model", "task"], "published")
    table = theirs.merge(_with_free(ours, ["backbone", "task"], "ours"), on=["task", "condition"])
    if table.empty:
        known = ", ".join(sorted(theirs["task"].unique()))
        raise UserError(f"no published number matches a task and condition of these rows: published are tasks {known}")
    return table.sort_values(["task", "study", "model", "condition", "backbone"], ignore_index=True)


def _ours(cell: pd.DataFrame) -> dict[str, float]:
    means = cell.groupby("item_id", observed=True)["correct"].mean().to_numpy(dtype=float)
    value, low, high = accuracy(means)
    return {"ours": value, "ours_low": low, "ours_high": high, "ours_n": len(means)}


def _with_free(table: pd.DataFrame, keys: list[str], column: str) -> pd.DataFrame:
    """A column more: the accuracy minus that of the same study's free answers, empty where it has none."""
    free = table[table["condition"] == FREE].set_index(keys)[column].rename("_free")
    joined = table.join(free, on=keys)
    return joined.assign(**{f"{column}_difference": joined[column] - joined["_free"]}).drop(columns="_free")
