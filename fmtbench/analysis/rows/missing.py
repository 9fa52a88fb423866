"""What a study lacks: cells that have not run, and items missing from a cell.

Every condition of a backbone is expected under every task, prompt and seed of that backbone; every item in every cell of its
backbone, task and seed. Reruns of truncated replies are partial cells by nature, and never expected.
"""

from __future__ import annotations

import pandas as pd

from fmtbench.types import RERUN

CELL = ["backbone", "task", "condition", "prompt", "seed"]


def missing_cells(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each incomplete cell: the columns of `CELL`, the `items` it has and the number `expected`."""
    rows = rows[~rows["condition"].astype(str).str.endswith(RERUN)]
    there = rows.groupby(CELL, observed=True)["item_id"].nunique().rename("items")
    expected = rows.groupby(["backbone", "task", "seed"], observed=True)["item_id"].nunique().rename("expected")
    asked = rows[["backbone", "task", "prompt", "seed"]].drop_duplicates().astype({"backbone": str})
    conditions = rows[["backbone", "condition"]].drop_duplicates().astype({"backbone": str})
    whole = asked.merge(conditions, on="backbone").astype({"task": str, "prompt": str, "condition": str})
    for known, keys in ((there, CELL), (expected, ["backbone", "task", "seed"])):
        named = known.reset_index()
        whole = whole.merge(named.astype({key: str for key in keys if key != "seed"}), on=keys, how="left")
    lacking = whole.fillna({"items": 0}).astype({"items": int, "expected": int}).query("items < expected")
    return lacking[[*CELL, "items", "expected"]].sort_values(CELL, ignore_index=True)


def missing_note(missing: pd.DataFrame, most: int = 3) -> str:
    """One line that names the first missing cells and counts the rest; empty if nothing is missing."""
    if not len(missing):
        return ""
    shown = [f"{_name(one)} ({one.items} of {one.expected} items)" for one in missing.head(most).itertuples()]
    more = f" and {len(missing) - most} more" if len(missing) > most else ""
    return f"missing: {'; '.join(shown)}{more}"


def _name(one: object) -> str:
    return f"{'/'.join(str(getattr(one, key)) for key in CELL[:-1])}-seed{getattr(one, 'seed')}"  # noqa: B009
