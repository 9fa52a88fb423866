"""Chosen differences of several studies in one figure: a panel per effect, a line per model, the smallest models on top."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from fmtbench.analysis.showing.figures import COLOURS, STYLE
from fmtbench.analysis.tables.families import size_of

LINE, HEAD = 0.16, 0.75
"""Inches: height of a line, and of a panel's title and axis."""


def effects(table: pd.DataFrame) -> Figure:
    """Difference in points with its 95% interval; models whose names give no size come last."""
    panels = [(str(name), _ordered(own)) for name, own in table.groupby("effect", sort=False, observed=True)]
    heights = [HEAD + LINE * len(own) for _, own in panels]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, sum(heights)), layout="constrained")
        drawn = figure.subplots(len(panels), height_ratios=heights, squeeze=False, sharex=True)[:, 0]
        for axes, (name, own) in zip(drawn, panels):
            _panel(axes, own)
            axes.set_title(name, loc="left")
        drawn[-1].set_xlabel("difference in accuracy, points, 95% interval")
    return figure


def _ordered(own: pd.DataFrame) -> pd.DataFrame:
    size = [size_of(str(name)) or float("inf") for name in own["backbone"]]
    return own.assign(_size=size).sort_values(["condition", "task", "_size", "difference"], ignore_index=True)


def _panel(axes: Any, own: pd.DataFrame) -> None:
    places = range(len(own))
    axes.hlines(places, 100 * own["difference_low"], 100 * own["difference_high"], color=COLOURS[5], lw=1)
    axes.plot(100 * own["difference"], places, "o", color=COLOURS[0], ms=3)
    axes.axvline(0, color="#444444", lw=0.7)
    several = own[["task", "condition"]].drop_duplicates().shape[0] > 1
    names = [f"{line.backbone}: {line.task}, {line.condition}" if several else line.backbone for line in own.itertuples()]
    axes.set_yticks(places, names, fontsize=6)
    axes.set_ylim(len(own) - 0.4, -0.6)
