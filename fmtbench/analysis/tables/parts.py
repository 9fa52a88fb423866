"""What the losses that matter are made of: rows of the decomposition, for conditions that were planned and lose something."""

from __future__ import annotations

import pandas as pd

from fmtbench.analysis.tables.decomposition import PARTS
from fmtbench.errors import UserError

MATTERS = 0.05
"""A loss matters if one of its parts is at least this large, either way."""
KEYS = ["backbone", "task", "condition"]


def parts_table(
    rows: pd.DataFrame, decomposition: pd.DataFrame | None = None, contrasts: pd.DataFrame | None = None
) -> pd.DataFrame:
    """The rows of the decomposition whose largest part is at least `MATTERS`: for the conditions planned against its reference,
    or for all where none is. The numbers are those of that table, whatever settings it was made with.

    Raises `UserError` where there is no such table, or no part is that large.
    """
    if decomposition is None:
        raise UserError("it is a part of the table decomposition: choose both, table=[decomposition,parts]")
    known = decomposition[decomposition["condition"].isin(_wanted(decomposition, contrasts))]
    parts = known[known["component"].isin(PARTS[:-1])]
    largest = parts["value"].abs().groupby([parts[key] for key in KEYS], observed=True).max()
    kept = known.set_index(KEYS).index.isin(largest.index[largest >= MATTERS])
    if not kept.any():
        raise UserError(f"no part of a loss is larger than {100 * MATTERS:.0f} points")
    return known[kept].reset_index(drop=True)


def _wanted(decomposition: pd.DataFrame, contrasts: pd.DataFrame | None) -> set[str]:
    there = set(decomposition["condition"])
    if contrasts is None:
        return there
    planned = contrasts[contrasts["planned"] & contrasts["reference"].isin(decomposition["reference"])]
    return there & set(planned["condition"]) or there
