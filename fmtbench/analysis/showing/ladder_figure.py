"""The ladder of readers as a figure: accuracy against what the reader forgives, one thin line for each backbone."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from fmtbench.analysis.showing.figures import COLOURS, STYLE
from fmtbench.analysis.tables.ladder import ALL, STEPS

SAID = {
    "bare": "bare\nparser",
    "unfenced": "one fence\noff",
    "in_prose": "object\nin prose",
    "control": "raw line\nbreaks",
    "escapes": "escapes\nmended",
    "marked": "any\nmark",
    "latent": "latent\nreader",
}


def ladder(table: pd.DataFrame) -> Figure:
    """A panel for each task and condition. The thick line is the mean; below it stand its rank correlations with latent."""
    panels = list(table.groupby(["task", "condition"], sort=False, observed=True))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 2.9 * len(panels)))
        for axes, ((task, condition), lines) in zip(figure.subplots(len(panels), squeeze=False)[:, 0], panels):
            _panel(axes, lines)
            axes.set_title(f"{task}, {condition}", loc="left")
    return figure


def _panel(axes: Any, lines: pd.DataFrame) -> None:
    place = {step: k for k, step in enumerate(STEPS)}
    for name, own in lines.groupby("backbone", sort=False, observed=True):
        style = {"color": COLOURS[0], "lw": 2.2, "marker": "o"} if name == ALL else {"color": COLOURS[5], "lw": 0.7, "alpha": 0.6}
        axes.plot(own["step"].map(place), 100 * own["accuracy"], **style)
    mean = lines[lines["backbone"] == ALL]
    ranked = mean[mean["rank_latent"].notna()]
    if len(ranked):
        said = "rank correlation of the models with the latent reader"
        axes.text(len(STEPS) - 0.9, -5, said, ha="right", va="center", color=COLOURS[0], fontsize=7)
    for line in ranked.itertuples():
        axes.text(place[line.step], -13, f"{line.rank_latent:.2f}", ha="center", color=COLOURS[0])
    axes.set_xticks(range(len(STEPS)), [SAID[step] for step in STEPS])
    axes.set_ylim(-18, 104)
    axes.set_yticks(range(0, 101, 25))
    axes.set_ylabel("accuracy, %")
