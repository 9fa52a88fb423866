"""Accuracy against its cost: the words that a rationale may have, and the tokens of a reply."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fmtbench.analysis.showing.figures import COLOURS, PANEL, cell_panels, colour, left_out, legend, say_below
from fmtbench.errors import UserError

MARKERS = "osD^vP"
FLOOR = "nothing is right there"


def dose(table: pd.DataFrame) -> Figure:
    """Accuracy over the words that the prompt allows, one line for each format with at least two budgets.

    Budgets are evenly spaced, so that none hides another. Raises `UserError` where no cell has such a format.
    """
    curves = table[table.groupby([*PANEL, "format"], observed=True)["budget"].transform("nunique") >= 2]
    shown = curves[curves.groupby(PANEL, observed=True)["accuracy"].transform("max") > 0]
    if shown.empty:
        raise UserError("no reply is right in any cell with two budgets")
    budgets = sorted(shown["budget"].unique())
    figure, panels = cell_panels(shown, "", height=lambda group: 2.2)
    formats = sorted(shown["format"].unique(), key=lambda name: (name != "text", name))
    for axis, (_, group) in zip(panels, shown.groupby(PANEL)):
        for i, name in enumerate(formats):
            _curve(axis, group[group["format"] == name].sort_values("budget"), budgets, i, len(formats), name)
        axis.set_xticks(range(len(budgets)), [_budget(words) for words in budgets])
        axis.set_xlim(-0.5, len(budgets) - 0.5)
        axis.set_ylim(bottom=0)
        axis.set_ylabel("accuracy, %")
    say_below(figure, f"words of rationale that the prompt allows; bars: 95%{left_out(table, shown, FLOOR)}")
    legend(figure, panels[0])
    return figure


def _curve(axis: Any, curve: pd.DataFrame, budgets: list[float], i: int, many: int, name: str) -> None:
    place = np.array([budgets.index(words) for words in curve["budget"]]) + 0.08 * (i - (many - 1) / 2)
    value = 100 * curve["accuracy"]
    ends = np.abs(np.vstack([100 * curve["accuracy_low"] - value, 100 * curve["accuracy_high"] - value]))
    axis.errorbar(place, value, yerr=ends, fmt="o-", color=colour(i), label=name, capsize=2, markersize=4)


def _budget(words: float) -> str:
    return {0.0: "none", np.inf: "free"}.get(words, f"{words:.0f}")


def frontier(cost: pd.DataFrame) -> Figure:
    """Accuracy against tokens, one marker for each condition; the line joins those that nothing cheaper equals.

    Raises `UserError` where nothing is right anywhere.
    """
    shown = cost[cost.groupby(PANEL, observed=True)["accuracy"].transform("max") > 0]
    if shown.empty:
        raise UserError("no reply is right under any condition")
    figure, panels = cell_panels(shown, "", height=lambda group: 2.3)
    names = sorted(set(shown["condition"]))
    looks = {name: (colour(i), MARKERS[i // len(COLOURS) % len(MARKERS)]) for i, name in enumerate(names)}
    for axis, (_, group) in zip(panels, shown.groupby(PANEL)):
        best = group[group["frontier"]].sort_values("tokens")
        axis.step(best["tokens"], 100 * best["accuracy"], where="post", color="#222222", linewidth=0.8, zorder=1)
        for line in group.itertuples():
            shade, marker = looks[line.condition]
            edge = "#222222" if line.frontier else shade
            place = (line.tokens, 100 * line.accuracy)
            axis.plot(*place, marker, color=shade, markeredgecolor=edge, markersize=6, clip_on=False, zorder=3)
        axis.set_xlim(0, 1.05 * group["tokens"].max())
        axis.set_ylim(0, min(106.0, 112 * group["accuracy"].max()))
        axis.set_ylabel("accuracy, %")
    note = left_out(cost, shown, FLOOR)
    say_below(figure, f"tokens of a reply, mean; on the line, with a dark edge: nothing cheaper is as accurate{note}")
    handles = [Line2D([], [], color=shade, marker=marker, linestyle="", label=name) for name, (shade, marker) in looks.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=5, fontsize=8, frameon=False)
    return figure
