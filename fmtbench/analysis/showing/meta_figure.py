"""A contrast across backbones and tasks: the mean, where a further study would lie, and the studies themselves."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fmtbench.analysis.showing.figures import COLOURS, STYLE
from fmtbench.analysis.showing.labels import Labels, labelled
from fmtbench.errors import UserError

NAMES = {"strict": "", "latent": "latent_"}
ROW, HEAD = 0.36, 1.35
"""Inches: height of a line, and of everything above and below the lines."""


def meta(table: pd.DataFrame, reading: str = "latent", labels: Labels | None = None) -> Figure:
    """One row per contrast, from the lowest mean to the highest: diamond and thick bar, mean and 95%; thin bar, prediction; dots,
    the studies, one colour per backbone. Raises `UserError` where no contrast has a mean."""
    name = NAMES[reading]
    shown = table[table[f"{name}difference"].notna()].sort_values(f"{name}difference", kind="stable").reset_index(drop=True)
    if shown.empty:
        raise UserError("no contrast has two studies in which a reply is right")
    studies = labelled(pd.DataFrame(table.attrs["studies"]), labels or {})
    studies = studies[~studies[f"{name}floor"]]
    backbones = list(dict.fromkeys(studies["backbone"]))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, HEAD + ROW * len(shown)), layout="constrained")
        axis = figure.subplots()
    axis.axvline(0, color="#222222", linewidth=0.8, zorder=1)
    for y, line in shown.iterrows():
        value, low, high = (100 * line[f"{name}{column}"] for column in ("difference", "low", "high"))
        axis.hlines(y, 100 * line[f"{name}prediction_low"], 100 * line[f"{name}prediction_high"], color="#999999", linewidth=1)
        axis.hlines(y, low, high, color="#444444", linewidth=3.2, alpha=0.75)
        axis.plot(value, y, "D", color="#222222", markersize=5, zorder=4)
        own = studies[(studies["condition"] == line["condition"]) & (studies["reference"] == line["reference"])]
        for k, backbone in enumerate(backbones):
            values = 100 * own.loc[own["backbone"] == backbone, f"{name}difference"]
            axis.plot(values, np.full(len(values), float(y) - 0.22), "o", color=COLOURS[k % len(COLOURS)], markersize=3.5)
    _dress(figure, axis, shown, backbones)
    figure.supxlabel(
        f"difference in {reading} accuracy, points; diamond and thick bar: mean over studies, 95%\n"
        "thin bar: where a further study would lie; dots: the studies",
        fontsize=8,
    )
    return figure


def _dress(figure: Figure, axis: mpl.axes.Axes, shown: pd.DataFrame, backbones: list[str]) -> None:
    one = shown["reference"].nunique() == 1
    against = "" if not one else f"against {shown['reference'].iloc[0]}"
    names = shown["condition"] if one else shown["condition"] + " - " + shown["reference"]
    axis.set_yticks(range(len(shown)), list(names))
    axis.set_title(against, loc="left", fontsize=9)
    axis.set_ylim(len(shown) - 0.4, -0.6)
    axis.margins(x=0.04)
    axis.grid(axis="y", color="#EEEEEE", zorder=0)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    dots = [Line2D([], [], linestyle="", marker="o", color=COLOURS[k % len(COLOURS)]) for k in range(len(backbones))]
    if len(backbones) > 1:
        figure.legend(dots, backbones, loc="outside upper center", ncols=min(5, len(backbones)), fontsize=8, frameon=False)
