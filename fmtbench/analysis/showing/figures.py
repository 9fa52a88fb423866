"""Figures: functions from a table to a matplotlib figure. They need no display, and the same table gives the same bytes."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import PIL
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from fmtbench.analysis.tables.decomposition import COMPONENTS
from fmtbench.analysis.tables.failures import STATUSES
from fmtbench.errors import UserError
from fmtbench.store.files import replacing

COLOURS = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377", "#999999", "#DDAA77", "#556677")
"""Paul Tol's bright scheme, which colour-blind readers can tell apart."""
STYLE = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "legend.frameon": False,
    "svg.hashsalt": "fmtbench",
    "pdf.fonttype": 42,
    "figure.constrained_layout.use": True,
}
PANEL = ["backbone", "task"]
MOST_ABREAST = 3


def save(figure: Figure, stem: Path, origin: dict[str, str]) -> None:
    """Writes `stem`.pdf and .png with the origin and without a date in their metadata."""
    source, creator = f"{origin['runs']}; {origin['commit']}", f"fmtbench ({drawn_by()})"
    with mpl.rc_context(STYLE):
        FigureCanvasAgg(figure)
        for text in figure.findobj(Text):
            text.set_parse_math(False)  # a name of somebody's task may hold dollars
        figure.draw_without_rendering()  # lay it out once for both files
        figure.set_layout_engine("none")
        _settle(figure)
        pdf = {"Subject": source, "CreationDate": None, "Creator": creator, "Producer": None}
        with replacing(stem.with_name(f"{stem.name}.pdf")) as part:
            figure.savefig(part, format="pdf", metadata=pdf)
        with replacing(stem.with_name(f"{stem.name}.png")) as part:
            figure.savefig(part, format="png", dpi=160, metadata={"Description": source, "Software": creator})


def _settle(figure: Figure) -> None:
    """Round the places of panels: their solver sums in an order of its own, and its last digit reaches the file."""
    for axis in figure.axes:
        left, bottom, width, height = (round(float(edge), 5) for edge in axis.get_position(original=True).bounds)
        axis.set_position((left, bottom, width, height))


def drawn_by() -> str:
    """What the bytes of a figure depend on besides its table."""
    libraries = (("matplotlib", mpl.__version__), ("Pillow", PIL.__version__), ("zlib", zlib.ZLIB_RUNTIME_VERSION))
    return ", ".join(f"{name} {version}" for name, version in libraries)


def decomposition(table: pd.DataFrame) -> Figure:
    """The parts of each loss, stacked to the right of zero where accuracy is lost and to the left where it is gained.

    A panel in which nothing is lost or gained is left out.
    """
    table = table[table.groupby(PANEL, observed=True)["value"].transform(lambda values: values.abs().max()) > 0]
    parts = [name for name in COMPONENTS if name != "total"]
    used = [name for name in parts if (table.loc[table["component"] == name, "value"].abs() > 0).any()]
    figure, panels = _panels(
        table,
        "points of accuracy lost against the reference",
        height=lambda group: 0.7 + 0.28 * group["condition"].nunique(),
        sharex=True,
    )
    for axis, (_, group) in zip(panels, table.groupby(PANEL)):
        wide = 100 * group.pivot(index="condition", columns="component", values="value").iloc[::-1]
        y = np.arange(len(wide))
        ahead, behind = np.zeros(len(wide)), np.zeros(len(wide))
        for name in used:
            value = wide[name].to_numpy()
            axis.barh(
                y, value, left=np.where(value > 0, ahead, behind), height=0.62, label=name, color=_colour(parts.index(name))
            )
            ahead, behind = ahead + np.maximum(value, 0), behind + np.minimum(value, 0)
        axis.plot(wide["total"], y, "D", color="white", markeredgecolor="black", markersize=5, label="total")
        axis.axvline(0, color="#222222", linewidth=0.8)
        axis.set_yticks(y, wide.index)
    _legend(figure, panels[0])
    return figure


def lockin(table: pd.DataFrame) -> Figure:
    """Lock-in with its interval, and the floor set by a second free sample; a condition without lock-in is left out."""
    known = table[table["lockin"].notna()]
    figure, panels = _panels(
        known, "per cent of the items solved freely (diamond: floor)", height=lambda group: 0.7 + 0.22 * len(group), sharex=True
    )
    for axis, (_, group) in zip(panels, known.groupby(PANEL)):
        group = group.iloc[::-1]
        y, value = np.arange(len(group)), 100 * group["lockin"].to_numpy()
        ends = np.abs(100 * group[["lockin_low", "lockin_high"]].to_numpy().T - value)
        axis.plot(100 * group["floor"], y, "D", markersize=6, color=COLOURS[6], zorder=0)
        axis.errorbar(value, y, xerr=ends, fmt="o", markersize=4, color=COLOURS[0], capsize=2)
        axis.set_yticks(y, group["condition"])
        axis.set_xlim(-3, 103)
    return figure


def statuses(failures: pd.DataFrame) -> Figure:
    """How replies end; a kept contract is pale, so that failures stand out."""
    used = [name for name in STATUSES if failures[name].max() > 0]
    figure, panels = _panels(failures, "replies, per cent", height=lambda group: 0.6 + 0.24 * len(group))
    for axis, (_, group) in zip(panels, failures.groupby(PANEL)):
        group, left = group.iloc[::-1], np.zeros(len(group))
        for name in used:
            colour = "#E4E9EE" if name == "ok" else _colour(STATUSES.index(name))
            axis.barh(group["condition"], 100 * group[name], left=left, height=0.7, label=name, color=colour)
            left = left + 100 * group[name].to_numpy()
        axis.set_xlim(0, 100)
    _legend(figure, panels[0])
    return figure


def dose(table: pd.DataFrame) -> Figure:
    """Accuracy over the words actually written, with a line for each format."""
    figure, panels = _panels(table, "words of rationale, mean (labels: words allowed)", height=lambda group: 2.2)
    formats = sorted(table["format"].unique(), key=lambda name: (name != "text", name))
    for axis, (_, group) in zip(panels, table.groupby(PANEL)):
        for i, name in enumerate(formats):
            curve = group[group["format"] == name].sort_values("budget")
            value = 100 * curve["accuracy"]
            ends = np.abs(np.vstack([100 * curve["accuracy_low"] - value, 100 * curve["accuracy_high"] - value]))
            axis.errorbar(curve["words"], value, yerr=ends, fmt="o-", color=_colour(i), label=name, capsize=2, markersize=4)
            for line in curve.itertuples():
                label = {0.0: "none", np.inf: "free"}.get(line.budget, f"{line.budget:.0f}")
                axis.annotate(label, (line.words, 100 * line.accuracy), xytext=(5, 4), textcoords="offset points", fontsize=7)
        axis.set_ylabel("accuracy, %")
        axis.margins(x=0.08, y=0.12)
    _legend(figure, panels[0])
    return figure


def frontier(cost: pd.DataFrame) -> Figure:
    """Accuracy against tokens; the line joins the conditions that nothing cheaper equals."""
    figure, panels = _panels(cost, "tokens of a reply, mean (blue: nothing cheaper is as accurate)", height=lambda group: 2.3)
    for axis, (_, group) in zip(panels, cost.groupby(PANEL)):
        group = group.sort_values("tokens")
        best = group[group["frontier"]]
        axis.step(best["tokens"], 100 * best["accuracy"], where="post", color=COLOURS[0], linewidth=1)
        colours = np.where(group["frontier"], COLOURS[0], COLOURS[6])
        axis.scatter(group["tokens"], 100 * group["accuracy"], c=list(colours), s=18, zorder=3)
        for i, line in enumerate(group.itertuples()):
            point = (line.tokens, 100 * line.accuracy)
            place, side = ((-5, -9), "right") if i % 2 == 0 else ((5, 4), "left")
            axis.annotate(line.condition, point, xytext=place, textcoords="offset points", fontsize=7, ha=side)
        axis.set_ylabel("accuracy, %")
        axis.margins(x=0.3, y=0.2)
        low, high = axis.get_ylim()
        axis.set_ylim(max(low, -6), min(high, 106))
    return figure


def _panels(table: pd.DataFrame, label: str, height: Any, sharex: bool = False) -> tuple[Figure, list[Any]]:
    """One panel for each backbone and task, in their order and as high as its content needs: tasks below each other, up to
    `MOST_ABREAST` backbones side by side. `label` names the axis at the bottom."""
    if table.empty:
        raise UserError("its table has no lines")
    groups = [(tuple(map(str, name)), group) for name, group in table.groupby(PANEL)]
    place = _places([name for name, _ in groups])
    across, down = (1 + max(at[axis] for at in place.values()) for axis in (1, 0))
    heights = [max(height(group) for name, group in groups if place[name][0] == i) for i in range(down)]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4 * across, sum(heights) + 0.5), layout="constrained")
        grid = figure.subplots(down, across, squeeze=False, height_ratios=heights, sharex=sharex)
        axes = [grid[place[name]] for name, _ in groups]
        for axis, (name, _) in zip(axes, groups):
            axis.set_title(", ".join(name), loc="left", fontsize=9)
            axis.tick_params(labelsize=8, labelbottom=True)
            axis.spines[["top", "right"]].set_visible(False)
        for axis in set(grid.flat) - set(axes):
            axis.set_axis_off()
        for column in range(across):
            max((at, axis) for at, axis in zip(place.values(), axes) if at[1] == column)[1].set_xlabel(label)
    return figure, axes


def _places(names: list[tuple[str, ...]]) -> dict[tuple[str, ...], tuple[int, int]]:
    """Row and column of the panel of each backbone and task."""
    backbones, tasks = (list(dict.fromkeys(one)) for one in zip(*names))
    if len(backbones) > MOST_ABREAST:
        return {name: (i, 0) for i, name in enumerate(names)}
    rows = sorted(tasks)
    return {(backbone, task): (rows.index(task), backbones.index(backbone)) for backbone, task in names}


def _legend(figure: Figure, axis: Any) -> None:
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(5, len(labels)), fontsize=8, frameon=False)


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]
