"""Prefix swap: accuracy of the four arms along the rationale, by the fraction that the reply was begun with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fmtbench.analysis.showing.figures import PANEL, cell_panels, colour, legend, say_below
from fmtbench.errors import UserError

ARMS = {"free_arm": ("free", "o-"), "bind": ("bind", "o--"), "release": ("release", "s-"), "hold": ("hold", "s--")}
"""The label of each arm, and its marker and line: the marker says where the prefix is from, the line what continues it."""
NOTE = (
    "share of the rationale's words that the reply was begun with; squares: begun in the format, circles: begun freely; dashed: "
    "goes on in the format; shaded: L, free less release, its 95% at release"
)


def swap_curves(table: pd.DataFrame) -> Figure:
    """A panel for each backbone and task, over all items; if several conditions hold, a panel for each.

    The shaded band is lock-in, from release to free; bars show the 95% interval of L, at release. Raises `UserError` where no
    curve has two points.
    """
    shown = table[(table["items"] == "all") & table["fraction"].notna()]
    shown = shown[shown.groupby([*PANEL, "condition"], observed=True)["fraction"].transform("nunique") >= 2]
    if shown.empty:
        raise UserError("no reply was cut at two places")
    if shown["condition"].nunique() > 1:
        shown = shown.assign(task=shown["task"].astype(str) + ", " + shown["condition"].astype(str))
    figure, panels = cell_panels(shown, "", height=lambda group: 2.4)
    for axis, (_, group) in zip(panels, shown.groupby(PANEL)):
        _curves(axis, group.sort_values("fraction"))
    say_below(figure, NOTE)
    legend(figure, panels[0])
    return figure


def _curves(axis: Any, group: pd.DataFrame) -> None:
    place = group["fraction"].to_numpy(dtype=float)
    for i, (arm, (label, look)) in enumerate(ARMS.items()):
        axis.plot(place, 100 * group[arm], look, color=colour(i // 2), label=label, markersize=4, linewidth=1.2)
    low, high = (100 * (group["free_arm"] - group[f"L_{end}"]).to_numpy(dtype=float) for end in ("high", "low"))
    axis.fill_between(place, 100 * group["release"], 100 * group["free_arm"], color=colour(1), alpha=0.12, linewidth=0)
    axis.vlines(place, low.clip(0, 100), high.clip(0, 100), color=colour(1), linewidth=0.8, alpha=0.6)
    point = group["f_star"].iloc[0]
    if np.isfinite(point):
        axis.axvline(point, color="#222222", linewidth=0.8, linestyle=":")
        axis.annotate(
            "f*", (point, 1), xycoords=("data", "axes fraction"), xytext=(3, -9), textcoords="offset points", fontsize=8
        )
    axis.set_xticks(place, [f"{one:g}" for one in place])
    axis.set_ylim(-4, 104)
    axis.set_ylabel("latent accuracy, %")
