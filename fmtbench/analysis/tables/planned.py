"""The contrasts that were planned, one line each, with both intervals and the difference under each prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from fmtbench.analysis.statistics.bootstrap import DRAWS
from fmtbench.analysis.statistics.exact import MARGIN
from fmtbench.analysis.tables.contrasts import contrast_table
from fmtbench.conditions.axes import REFERENCE
from fmtbench.errors import UserError


def planned_table(
    rows: pd.DataFrame,
    reference: str = REFERENCE,
    planned: Sequence[Mapping[str, str] | str] = (),
    margin: float = MARGIN,
    draws: int = DRAWS,
    axes: Mapping[str, Mapping[str, Any]] | None = None,
    presets: Mapping[str, Mapping[str, Any]] | None = None,
) -> pd.DataFrame:
    """The planned contrasts alone, less floors. Raises `UserError` where none is planned, or all are floors."""
    table = contrast_table(rows, reference, planned, margin, draws, axes=axes, presets=presets)
    kept = table[table["planned"] & ~table["latent_floor"]].reset_index(drop=True)
    if kept.empty:
        raise UserError("no contrast is planned of which a reply is right: give planned: [{condition: json_schema}]")
    kept.insert(2, "contrast", kept["condition"] + " - " + kept["reference"])
    kept.attrs["below"] = table.attrs["below"]
    return kept
