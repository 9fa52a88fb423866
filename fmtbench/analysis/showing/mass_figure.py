"""Removed mass by part and condition, stacked: where in its replies a mask takes away what the model would have said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from fmtbench.analysis.showing.figures import COLOURS, PANEL, cell_panels, legend, say_below
from fmtbench.errors import UserError
from fmtbench.formats.parts import PARTS


def removed_mass(mass: pd.DataFrame) -> Figure:
    """A panel for each backbone and task, a bar for each condition that was masked, the dearest first.

    Of several decoders or dtypes the first. Raises `UserError` where no reply was masked.
    """
    own = mass[(mass["against"] == "own") & mass["part"].isin(PARTS)]
    if own.empty:
        raise UserError("no reply was held by a mask")
    own = own[(own["decoder"] == own["decoder"].min()) & (own["dtype"] == own["dtype"].max())]
    used = [part for part in PARTS if own.loc[own["part"] == part, "tax_reply"].max() > 0]
    figure, panels = cell_panels(own, "", height=lambda group: 0.6 + 0.24 * group["condition"].nunique())
    for axis, (_, group) in zip(panels, own.groupby(PANEL)):
        _bars(axis, group, used)
    say_below(figure, "tax of a reply in nats, by the part that it is paid in")
    legend(figure, panels[0])
    return figure


def _bars(axis: Any, group: pd.DataFrame, used: Sequence[str]) -> None:
    wide = (
        group.pivot_table(index="condition", columns="part", values="tax_reply", observed=True).reindex(columns=used).fillna(0.0)
    )
    wide = wide.loc[wide.sum(axis=1).sort_values(kind="stable").index]
    left = wide.iloc[:, 0] * 0
    for colour, part in zip(COLOURS, used):
        axis.barh(list(map(str, wide.index)), wide[part], left=left, color=colour, label=part, height=0.7)
        left = left + wide[part]
