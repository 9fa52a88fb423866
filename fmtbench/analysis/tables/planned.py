"""The contrasts that were planned, one row each, with both intervals and the difference under each prompt."""

from __future__ import annotations

import pandas as pd

from fmtbench.errors import UserError


def planned_table(rows: pd.DataFrame, contrasts: pd.DataFrame | None = None) -> pd.DataFrame:
    """The planned rows of the contrasts table, without floors. The numbers are those of that table, whatever settings it was made
    with.

    Raises `UserError` where there is no such table, none is planned, or all are floors.
    """
    if contrasts is None:
        raise UserError("it is a part of the table contrasts: choose both, table=[contrasts,planned]")
    kept = contrasts[contrasts["planned"] & ~contrasts["latent_floor"]].reset_index(drop=True)
    if kept.empty:
        raise UserError("no contrast is planned of which a reply is right: give planned: [{condition: json_schema}]")
    kept.insert(2, "contrast", kept["condition"] + " - " + kept["reference"])
    kept.attrs["below"] = contrasts.attrs["below"]
    return kept
