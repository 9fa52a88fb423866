"""Removed mass by part and condition, stacked, and along the reply: where a mask removes what the model would have said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from fmtbench.analysis.showing.figures import COLOURS, PANEL, cell_panels, colour, legend, say_below
from fmtbench.errors import UserError
from fmtbench.formats.parts import PARTS

LEAST = 0.01
"""Nats below which the axis along a reply is linear, since a mask that forbids nothing removes none."""
SCALE = (0, 0.01, 0.1, 1, 10)


def removed_mass(mass: pd.DataFrame) -> Figure:
    """A panel for each backbone and task, one bar for each masked condition, highest tax first.

    Shows one decoder and one dtype: the first decoder by name, and the last dtype. Raises `UserError` where no reply was masked.
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
    for shade, part in zip(COLOURS, used):
        axis.barh(list(map(str, wide.index)), wide[part], left=left, color=shade, label=part, height=0.7)
        left = left + wide[part]


def mass_along(along: pd.DataFrame) -> Figure:
    """A panel for each backbone and task, one curve for each masked condition, with its 95% intervals.

    Shows one decoder and one dtype: the first decoder by name, and the last dtype. Raises `UserError` where no reply was masked.
    """
    own = along[(along["decoder"] == along["decoder"].min()) & (along["dtype"] == along["dtype"].max())]
    shades = {name: colour(place) for place, name in enumerate(dict.fromkeys(own["condition"].astype(str)))}
    figure, panels = cell_panels(own, "", height=lambda group: 2.2)
    for axis, (_, group) in zip(panels, own.groupby(PANEL)):
        for condition, curve in group.groupby(group["condition"].astype(str), sort=False):
            curve = curve.sort_values("place")
            axis.plot(curve["place"], curve["tax"], "o-", color=shades[condition], label=condition, markersize=3, linewidth=1.2)
            axis.fill_between(
                curve["place"], curve["tax_low"], curve["tax_high"], color=shades[condition], alpha=0.15, linewidth=0
            )
        axis.set_yscale("symlog", linthresh=LEAST)
        top = max(2.0, 1.3 * float(group["tax"].max()))
        marked = [one for one in SCALE if one < top]
        axis.set_yticks(marked, [f"{one:g}" for one in marked])
        axis.minorticks_off()
        axis.set_ylim(0, top)
        axis.set_xticks([0, 0.25, 0.5, 0.75, 1], ["first", "25%", "50%", "75%", "end"])
        axis.set_ylabel("nats a token")
    say_below(figure, f"place in the reply; the scale is linear below {LEAST:g} nats; shaded: 95% over items")
    legend(figure, max(panels, key=lambda axis: len(axis.get_legend_handles_labels()[0])))
    return figure
