"""Cells in which many replies were cut at the token limit: what looks like an effect of the format may be one of the limit."""

from __future__ import annotations

import pandas as pd

from fmtbench.types import RERUN

CELL = ["backbone", "task", "condition"]
MOST_CUT = 0.05
"""The largest share of cut replies in a cell that goes unmentioned."""
MOST_NAMED = 6


def cut(rows: pd.DataFrame) -> pd.DataFrame:
    """The cells with a larger share than that: `CELL`, `share`, and `tokens` of the longest reply that was cut.

    Loops do not count: with more room they would just be longer.
    """
    again = [name for name in rows["condition"].unique() if str(name).endswith(RERUN)]
    rows = rows[~rows["condition"].isin(again)]
    ended = (rows["finish_reason"] == "length") & (rows["status"] != "loop")
    cells = [rows[name] for name in CELL]
    share = ended.groupby(cells, observed=True).mean()
    tokens = rows["completion_tokens"].where(ended, 0).groupby(cells, observed=True).max()
    found = pd.DataFrame({"share": share, "tokens": tokens}).reset_index().astype(dict.fromkeys(CELL, str))
    return found[found["share"] > MOST_CUT].sort_values("share", ascending=False, kind="stable", ignore_index=True)


def cut_notes(rows: pd.DataFrame) -> list[str]:
    """One line with the worst cells first and the override that gives them room; no line if no cell has that many."""
    cells = cut(rows)
    if cells.empty:
        return []
    several = cells["backbone"].nunique() > 1
    names = [
        f"{f'{one.backbone}/' if several else ''}{one.task}/{one.condition} {100 * one.share:.0f}%"
        for one in cells.head(MOST_NAMED).itertuples(index=False)
    ]
    more = f" and {len(cells) - MOST_NAMED} more cells" if len(cells) > MOST_NAMED else ""
    limit = int(cells["tokens"].max())
    room = f"sampling.max_tokens={4 * limit}" if limit else "a larger sampling.max_tokens"
    return [
        f"Replies were cut at the token limit: {', '.join(names)}{more}. "
        f"Differences may be those of the limit: run it with {room}, or rerun_truncated=4"
    ]
