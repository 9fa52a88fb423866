"""Why a bare JSON parser fails: what must be forgiven before an answer is found, by model, as shares of all replies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from fmtbench.errors import UserError

COLUMN = "ladder_forgave"
KINDS = ("fence", "prose", "control", "prose+control")
ESCAPES = "escapes"
ALL = "all"


def breaches_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each task, condition and backbone, and one for `all`: `n` replies and the share of each kind, which sum to 1.

    `bare`: nothing must be forgiven; `fence`, `prose` (or a token) around the object, `control`: raw line breaks in strings,
    `prose_control`: both; `escapes`: invalid ones, with or without the others; `none`: no object with an answer is found.
    Raises `UserError` for rows that the ladder never read.
    """
    if COLUMN not in rows.columns:
        raise UserError("it needs texts that were read by the ladder: python -m experiments.rescore reads transcripts so")
    keys = ["task", "condition"]
    groups = rows.groupby(keys, sort=True, observed=True)
    return pd.DataFrame([dict(zip(keys, key)) | line for key, group in groups for line in _lines(group)])


def _lines(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    yield {"backbone": ALL, **_shares(rows[COLUMN])}
    for name, own in rows.groupby("backbone", sort=True, observed=True):
        yield {"backbone": str(name), **_shares(own[COLUMN])}


def _shares(forgave: pd.Series) -> dict[str, Any]:
    escapes = forgave.str.contains(ESCAPES, na=False)
    kinds = {kind.replace("+", "_"): (forgave == kind).mean() for kind in KINDS}
    return {"n": len(forgave), "bare": (forgave == "").mean(), **kinds, ESCAPES: escapes.mean(), "none": forgave.isna().mean()}
