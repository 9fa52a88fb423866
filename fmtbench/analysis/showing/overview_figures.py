"""A study at a glance: differences with both intervals, what strict reading keeps, and where a loss comes from."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fmtbench.analysis.showing.figures import COLOURS, STYLE, left_out, say_below
from fmtbench.analysis.tables.decomposition import PARTS
from fmtbench.analysis.tables.parts import MATTERS
from fmtbench.errors import UserError

ROW, HEAD = 0.34, 1.5
"""Inches: height of a line, and of everything above and below the lines."""
ABREAST = 4
MOST_FALLS = 6
TELLING = 0.5
"""Longest interval of a lock-in that still says something."""
NAMES = {"strict": "", "latent": "latent_"}


def forest(contrasts: pd.DataFrame, reading: str = "latent") -> Figure:
    """One panel per task, one row per condition, one colour per backbone; thick bars for these prompts, thin ones for prompts
    like these.

    Shows contrasts with the most common reference only, and none where no reply of either side is right: a task with nothing
    else has no panel, and is named below. Raises `UserError` where no contrast is left.
    """
    name = NAMES[reading]
    reference = contrasts["reference"].mode()[0]
    own = contrasts[contrasts["reference"] == reference]
    shown = own[~own[f"{name}floor"]]
    if shown.empty:
        raise UserError("no reply is right on either side of any contrast")
    order = list(shown.groupby("condition", observed=True)[f"{name}difference"].mean().sort_values().index)
    figure, panels = _panels(shown, len(order))
    for axis, (task, group) in zip(panels, shown.groupby("task", observed=True)):
        axis.axvline(0, color="#222222", linewidth=0.8, zorder=2)
        _bars(axis, group, order, list(own["backbone"].unique()), name)
        axis.set_title(str(task), loc="left", fontsize=9)
        _frame(axis, order, group, name)
    panels[0].set_yticks(range(len(order)), order)
    note = _no_panel(own, shown)
    say_below(
        figure, f"{reading} accuracy minus that of {reference}, points; 95%, thick: these prompts, thin: prompts like these{note}"
    )
    _legend(figure, panels)
    return figure


def _bars(axis: Any, group: pd.DataFrame, order: list[str], backbones: list[str], name: str) -> None:
    for k, backbone in enumerate(backbones):
        lines = group[group["backbone"] == backbone]
        y = _heights(lines, order, k, len(backbones))
        colour = COLOURS[k % len(COLOURS)]
        axis.hlines(y, 100 * lines[f"{name}general_low"], 100 * lines[f"{name}general_high"], color=colour, linewidth=1)
        axis.hlines(y, 100 * lines[f"{name}low"], 100 * lines[f"{name}high"], color=colour, linewidth=3.2, alpha=0.75)
        axis.plot(100 * lines[f"{name}difference"], y, "o", color=colour, markersize=4.5, label=str(backbone))


def _frame(axis: Any, order: list[str], group: pd.DataFrame, name: str) -> None:
    ends = 100 * group[[f"{name}{end}" for end in ("low", "high", "general_low", "general_high")]]
    low, high = min(-2.0, float(np.nanmin(ends))), max(2.0, float(np.nanmax(ends)))
    margin = 0.05 * (high - low)
    axis.set_xlim(low - margin, high + margin)
    axis.set_ylim(len(order) - 0.4, -0.6)
    axis.grid(axis="y", color="#EEEEEE", zorder=0)


def dumbbell(main: pd.DataFrame) -> Figure:
    """Strict (filled) and latent (open) accuracy of every condition, one panel per task: the line between them is the loss of
    reading.

    A task where nothing is right under any condition has no panel. Raises `UserError` where none is left.
    """
    right = main.groupby("task", observed=True)["latent"].transform("max") > 0
    shown = main[right]
    if shown.empty:
        raise UserError("no reply is right under any condition")
    order = list(shown.groupby("condition", observed=True)["latent"].mean().sort_values(ascending=False).index)
    backbones = list(main["backbone"].unique())
    figure, panels = _panels(shown, len(order))
    for axis, (task, group) in zip(panels, shown.groupby("task", observed=True)):
        for k, backbone in enumerate(backbones):
            lines = group[group["backbone"] == backbone]
            y = _heights(lines, order, k, len(backbones))
            colour = COLOURS[k % len(COLOURS)]
            axis.hlines(y, 100 * lines["strict"], 100 * lines["latent"], color="#BBBBBB", linewidth=2, zorder=1)
            axis.plot(100 * lines["latent"], y, "o", markerfacecolor="white", color=colour, markersize=5)
            axis.plot(100 * lines["strict"], y, "o", color=colour, markersize=5, label=str(backbone))
        axis.set_title(str(task), loc="left", fontsize=9)
        axis.set_xlim(-3, max(10.0, 108 * float(group[["strict", "latent"]].max(axis=None))))
        axis.set_ylim(len(order) - 0.4, -0.6)
        axis.grid(axis="y", color="#EEEEEE", zorder=0)
    panels[0].set_yticks(range(len(order)), order)
    note = _no_panel(main, shown)
    say_below(figure, f"accuracy, per cent; filled: strict, open: latent; the line between them is the loss of reading{note}")
    _legend(figure, panels)
    return figure


def lockin(table: pd.DataFrame) -> Figure:
    """Lock-in with its interval and, as a diamond, its floor: how often another free sample fails; one panel per task.

    A backbone and task without any interval shorter than `TELLING` is left out: too little is solved freely there. Raises
    `UserError` where none is left.
    """
    width = (table["lockin_high"] - table["lockin_low"]).where(table["lockin"].notna())
    shown = table[width.groupby([table["backbone"], table["task"]], observed=True).transform("min") < TELLING]
    shown = shown[shown["lockin"].notna()]
    if shown.empty:
        raise UserError(f"no interval of a lock-in is shorter than {100 * TELLING:.0f} points: too little is solved freely")
    beyond = shown["excess"].fillna(shown["lockin"])
    order = list(beyond.groupby(shown["condition"], observed=True).mean().sort_values(ascending=False, kind="stable").index)
    backbones = list(table["backbone"].unique())
    figure, panels = _panels(shown, len(order))
    for axis, (task, group) in zip(panels, shown.groupby("task", observed=True)):
        for k, backbone in enumerate(backbones):
            lines = group[group["backbone"] == backbone]
            y = _heights(lines, order, k, len(backbones))
            shade = COLOURS[k % len(COLOURS)]
            if lines["floor"].notna().any():
                axis.plot(100 * lines["floor"], y, "D", color=shade, alpha=0.35, markersize=6, zorder=1)
            axis.hlines(y, 100 * lines["lockin_low"], 100 * lines["lockin_high"], color=shade, linewidth=1.2)
            axis.plot(100 * lines["lockin"], y, "o", color=shade, markersize=4.5, label=str(backbone))
        axis.set_title(str(task), loc="left", fontsize=9)
        axis.set_xlim(-3, 103)
        axis.set_ylim(len(order) - 0.4, -0.6)
        axis.grid(axis="y", color="#EEEEEE", zorder=0)
    panels[0].set_yticks(range(len(order)), order)
    floor = "pale diamond: floor, wrong when asked freely again" if shown["floor"].notna().any() else "one free sample: no floor"
    note = left_out(table, shown, "too little is solved freely to tell")
    say_below(figure, f"wrong in the format, per cent of what is solved freely; bars: 95%; {floor}{note}")
    _legend(figure, panels)
    return figure


def _heights(lines: pd.DataFrame, order: list[str], k: int, backbones: int) -> Any:
    return np.array([order.index(condition) for condition in lines["condition"]]) + 0.7 / backbones * (k - (backbones - 1) / 2)


def _no_panel(table: pd.DataFrame, shown: pd.DataFrame) -> str:
    gone = sorted(set(map(str, table["task"])) - set(map(str, shown["task"])))
    return f"; not drawn, since nothing is right there: {', '.join(gone)}" if gone else ""


def _panels(table: pd.DataFrame, rows: int) -> tuple[Figure, list[Any]]:
    """A panel for each task, up to `ABREAST` side by side, all with the same rows."""
    tasks = table["task"].nunique()
    across, down = min(tasks, ABREAST), -(-tasks // ABREAST)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2.2 + 2.7 * across, down * (HEAD + ROW * rows)), layout="constrained")
        grid = figure.subplots(down, across, squeeze=False, sharey=True)
        for axis in grid.flat:
            axis.spines[["top", "right"]].set_visible(False)
            axis.tick_params(labelsize=8)
        for axis in grid.flat[tasks:]:
            axis.set_axis_off()
    return figure, list(grid.flat[:tasks])


def _legend(figure: Figure, panels: list[Any]) -> None:
    found = {label: handle for axis in panels for handle, label in zip(*axis.get_legend_handles_labels())}
    if len(found) > 1:
        figure.legend(
            found.values(), found.keys(), loc="outside upper center", ncols=min(5, len(found)), fontsize=8, frameon=False
        )


def waterfall(table: pd.DataFrame) -> Figure:
    """From zero to the total, part by part, with the interval of each part at its end.

    Shows one condition, so that backbones and tasks can be compared: the one whose losses have the most parts of at least
    `MATTERS`. There is a panel for each backbone and task with such a part, up to `MOST_FALLS` of them. A part that is zero is
    left out. Losses go to the right, gains to the left. Raises `UserError` where no part is so large.
    """
    keys = ["backbone", "task"]
    parts = table[table["component"].isin(PARTS)]
    large = parts[(parts["component"] != "total") & (parts["value"].abs() >= MATTERS)]
    if large.empty:
        raise UserError(f"no part of a loss is larger than {100 * MATTERS:.0f} points")
    condition = large["condition"].value_counts(sort=False).sort_values(ascending=False, kind="stable").index[0]
    own = parts[parts["condition"] == condition]
    largest = large[large["condition"] == condition].groupby(keys, observed=True)["value"].agg(lambda some: some.abs().max())
    chosen = sorted(largest.sort_values(ascending=False, kind="stable").index[:MOST_FALLS])
    groups = {name: group for name, group in own.groupby(keys, observed=True) if name in chosen}
    figure, panels = _grid(len(chosen))
    for axis, name in zip(panels, chosen):
        _fall(axis, groups[name].set_index("component").reindex(PARTS).dropna(subset="value"))
        axis.set_title(f"{name[1]}\n{name[0]}", loc="left", fontsize=8)
    against = own["reference"].iloc[0]
    say_below(
        figure,
        f"{condition} against {against}: points of strict accuracy lost (red, to the right) or gained (blue, to the left); "
        f"lines: 95% for these prompts; no panel where no part is of {100 * MATTERS:.0f} points",
    )
    return figure


def _grid(many: int) -> tuple[Figure, list[Any]]:
    """This many panels, two or three side by side."""
    across = 2 if many in (2, 4) else min(many, 3)
    down = -(-many // across)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(1 + 2.9 * across, 2.5 * down), layout="constrained")
        grid = figure.subplots(down, across, squeeze=False)
    for axis in grid.flat[many:]:
        axis.set_axis_off()
    return figure, list(grid.flat[:many])


def _fall(axis: Any, parts: pd.DataFrame) -> None:
    shown = parts[(parts["value"].abs() > 1e-9) | (parts.index == "total")]
    start = 0.0
    for y, (name, part) in enumerate(shown.iterrows()):
        before = 0.0 if name == "total" else start
        end = before + 100 * part["value"]
        axis.barh(y, end - before, left=before, height=0.62, color="#444444" if name == "total" else COLOURS[part["value"] > 0])
        axis.hlines(y, before + 100 * part["low"], before + 100 * part["high"], color="#222222", linewidth=1)
        if name != "total":
            axis.vlines(end, y - 0.31, y + 1.31, color="#999999", linewidth=0.6)
        start = end
    axis.axvline(0, color="#222222", linewidth=0.8)
    axis.set_yticks(range(len(shown)), list(shown.index))
    axis.set_ylim(len(shown) - 0.4, -0.6)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
