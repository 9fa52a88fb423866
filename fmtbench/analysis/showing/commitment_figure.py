"""Commitment along the rationale: how likely the right answer is, and how many final answers are fixed."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from fmtbench.analysis.showing.figures import PANEL, cell_panels, colour, legend, say_below
from fmtbench.errors import UserError

LOOKS = {"fixed": "o-", "p_gold": "s--"}
"""Marker and line of each quantity."""
READOUTS = {"own": "behind its own end", "turn": "asked in a turn"}
NOTE = (
    "share of the rationale's words behind which the model is asked; solid: the likeliest candidate is the final answer, with "
    "its 95%; dashed: probability of the right one"
)
APART = "; !: candidates hold threefold as much in one condition as in another"


def commitment_curves(table: pd.DataFrame) -> Figure:
    """A panel for each backbone, task and read-out, with two curves for each condition. Raises `UserError` where no curve has two
    points."""
    shown = table[table["fraction"].notna()]
    curves = shown.groupby([*PANEL, "condition", "readout"], observed=True)["fraction"]
    shown = shown[(curves.transform("nunique") >= 2) & (shown["dtype"] == shown["dtype"].max())]
    if shown.empty:
        raise UserError("no reply was read at two cuts")
    apart = shown["note"].fillna("").astype(str) != ""
    read = shown["readout"].astype(str).map(READOUTS) + apart.map({True: " (!)", False: ""})
    shown = shown.assign(task=shown["task"].astype(str) + ", " + read)
    shades = {name: colour(place) for place, name in enumerate(dict.fromkeys(shown["condition"].astype(str)))}
    figure, panels = cell_panels(shown, "", height=lambda group: 2.2)
    for axis, (_, group) in zip(panels, shown.groupby(PANEL)):
        _curves(axis, group, shades)
    say_below(figure, NOTE + APART * bool(apart.any()))
    legend(figure, max(panels, key=lambda axis: len(axis.get_legend_handles_labels()[0])))
    return figure


def _curves(axis: Any, group: pd.DataFrame, shades: dict[str, str]) -> None:
    for condition, curve in group.groupby(group["condition"].astype(str), sort=False):
        curve = curve.sort_values("fraction")
        place = curve["fraction"].to_numpy(dtype=float)
        for name, look in LOOKS.items():
            label = condition if name == "fixed" else None
            axis.plot(place, 100 * curve[name], look, color=shades[condition], label=label, markersize=4, linewidth=1.2)
        axis.vlines(place, 100 * curve["fixed_low"], 100 * curve["fixed_high"], color=shades[condition], linewidth=0.8, alpha=0.6)
    places = sorted(set(group["fraction"]))
    axis.set_xticks(places, [f"{one:g}" for one in places])
    axis.set_ylim(-4, 104)
    axis.set_ylabel("per cent")
