"""The figure of the drift table: each condition on a scale from asking again (0) to another item (1)."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fmtbench.analysis.showing.figures import COLOURS, STYLE
from fmtbench.errors import UserError


def drift_figure(table: pd.DataFrame) -> Figure:
    """A panel for each backbone, task, prompt and embedder that passes the gate. Raises `UserError` where there is none."""
    passed = table[table["passed"]]
    if passed.empty:
        raise UserError("no embedder passed the gate: two free samples of an item do not find each other in its space")
    groups = list(passed.groupby(["backbone", "task", "prompt", "embedder"]))
    heights = [0.6 + 0.24 * len(group) for _, group in groups]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, sum(heights) + 0.5), layout="constrained")
        axes = figure.subplots(len(groups), 1, squeeze=False, height_ratios=heights, sharex=True)[:, 0]
        for axis, (name, group) in zip(axes, groups):
            _panel(axis, group.iloc[::-1])
            axis.set_title(", ".join(map(str, name)), loc="left", fontsize=9)
        axes[-1].set_xlabel("drift (0: asking again; 1: another item's free rationale)")
    return figure


def _panel(axis: mpl.axes.Axes, group: pd.DataFrame) -> None:
    y, value = np.arange(len(group)), group["drift"].to_numpy()
    for edge in (0, 1):
        axis.axvline(edge, color="#BBBBBB", linewidth=0.8, zorder=0)
    ends = np.abs(np.vstack([group["drift_low"] - value, group["drift_high"] - value]))
    axis.errorbar(value, y, xerr=ends, fmt="o", markersize=4, color=COLOURS[0], capsize=2)
    axis.set_yticks(y, list(group["condition"]))
    axis.set_ylim(-0.6, len(group) - 0.4)
    axis.tick_params(labelsize=8)
