"""Cells in which the engine failed too often to state an accuracy.

An item without a reply counts as wrong, since every item counts. A few do no harm; with many, what looks like an effect of the
format is a server that was down.
"""

from __future__ import annotations

import pandas as pd

from fmtbench.errors import UserError

CELL = ["backbone", "task", "condition"]
MOST_ERRORS = 0.05
"""The largest share of engine errors in a cell that are simply counted as wrong."""


def broken(rows: pd.DataFrame) -> pd.DataFrame:
    """The cells with a larger share than that: `CELL`, `errors` and `replies`."""
    failed = (rows.status == "engine_error").groupby([rows[name] for name in CELL], observed=True)
    counts = pd.DataFrame({"errors": failed.sum(), "replies": failed.size()}).reset_index().astype(dict.fromkeys(CELL, str))
    return counts[counts.errors > MOST_ERRORS * counts.replies].sort_values(CELL, ignore_index=True)


def without_broken(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of all other cells. Raises `UserError` if there are none."""
    bad = set(broken(rows)[CELL].itertuples(index=False, name=None))
    if not bad:
        return rows
    kept = rows[[cell not in bad for cell in rows[CELL].astype(str).itertuples(index=False, name=None)]]
    if kept.empty:
        raise UserError("in every cell the engine failed too often: run the same command again when the engine is well")
    return kept


def broken_notes(rows: pd.DataFrame) -> list[str]:
    """One line for each broken cell."""
    return [
        f"{one.backbone}/{one.task}/{one.condition} has no accuracy: {one.errors} of its {one.replies} replies are engine errors"
        for one in broken(rows).itertuples(index=False)
    ]
