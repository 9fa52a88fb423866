"""Figures: functions from a table to a matplotlib figure. They need no display, and the same table gives the same bytes."""

from __future__ import annotations

import zlib
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import PIL
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from matplotlib.text import Text

from fmtbench.analysis.showing.labels import Labels, named
from fmtbench.analysis.tables.decomposition import COMPONENTS, THINKING
from fmtbench.analysis.tables.failures import STATUSES
from fmtbench.errors import UserError
from fmtbench.store.files import replacing

COLOURS = ("#4477AA", "#EE6677", "#CCBB44", "#66CCEE", "#AA3377", "#999999", "#DDAA77", "#556677", "#332288")
"""Paul Tol's bright scheme, which colour-blind readers can tell apart, without its green: green is reserved for right answers."""
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
DPI = 160
PANEL = ["backbone", "task"]
MOST_ABREAST = 3
CHARACTERS = 16
"""Characters of small type per inch."""
NOTHING: Labels = {}


def save(figure: Figure, stem: Path, origin: dict[str, str]) -> None:
    """Writes `stem`.pdf and .png with the origin and without a date in their metadata."""
    source, creator = f"{origin['runs']}; {origin['commit']}", f"fmtbench ({drawn_by()})"
    with mpl.rc_context(STYLE):
        FigureCanvasAgg(figure)
        for text in figure.findobj(Text):
            text.set_parse_math(False)  # the name of a task may contain dollar signs
        if layout := figure.get_layout_engine():
            layout.execute(figure)  # once for both files
        figure.set_layout_engine("none")
        _settle(figure)
        # Each canvas draws once; `savefig` would draw twice, and needs only the second.
        pdf = {"Subject": source, "CreationDate": None, "Creator": creator, "Producer": None}
        with replacing(stem.with_name(f"{stem.name}.pdf")) as part:
            FigureCanvasPdf(figure).print_pdf(part, metadata=pdf)
        figure.set_dpi(DPI)
        with replacing(stem.with_name(f"{stem.name}.png")) as part:
            FigureCanvasAgg(figure).print_png(part, metadata={"Description": source, "Software": creator})


def _settle(figure: Figure) -> None:
    """Rounds the positions of panels: their solver sums in an order of its own, and its last digit reaches the file."""
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
    parts = [name for name in (*COMPONENTS, THINKING) if name != "total"]  # THINKING last, so that the others keep their colours
    shades = {name: colour(place) for place, name in enumerate(parts)} | {THINKING: "#222222"}
    used = [name for name in parts if (table.loc[table["component"] == name, "value"].abs() > 0).any()]
    figure, panels = cell_panels(
        table,
        "points of accuracy lost against the reference",
        height=lambda group: 0.7 + 0.28 * group["condition"].nunique(),
        sharex=True,
    )
    for axis, (_, group) in zip(panels, table.groupby(PANEL)):
        wide = 100 * group.pivot(index="condition", columns="component", values="value").fillna(0).iloc[::-1]
        y = np.arange(len(wide))
        ahead, behind = np.zeros(len(wide)), np.zeros(len(wide))
        for name in used:
            value = wide[name].to_numpy()
            axis.barh(y, value, left=np.where(value > 0, ahead, behind), height=0.62, label=name, color=shades[name])
            ahead, behind = ahead + np.maximum(value, 0), behind + np.minimum(value, 0)
        axis.plot(wide["total"], y, "D", color="white", markeredgecolor="black", markersize=5, label="total")
        axis.axvline(0, color="#222222", linewidth=0.8)
        axis.set_yticks(y, wide.index)
    legend(figure, panels[0])
    return figure


def statuses(failures: pd.DataFrame, labels: Labels = NOTHING) -> Figure:
    """How replies end; `ok` is pale, so that failures stand out. Conditions with the most `ok` replies come first."""
    used = [name for name in STATUSES if failures[name].max() > 0]
    order = list(failures.groupby("condition", observed=True)["ok"].mean().sort_values(kind="stable").index)
    figure, panels = cell_panels(failures, "replies, per cent", height=lambda group: 0.6 + 0.24 * len(group))
    for axis, (_, group) in zip(panels, failures.groupby(PANEL)):
        group = group.set_index("condition").reindex([name for name in order if name in set(group["condition"])])
        left = np.zeros(len(group))
        for name in used:
            shade = "#E4E9EE" if name == "ok" else colour(STATUSES.index(name))
            axis.barh(group.index, 100 * group[name], left=left, height=0.7, label=named(name, "status", labels), color=shade)
            left = left + 100 * group[name].to_numpy()
        axis.set_xlim(0, 100)
    legend(figure, panels[0])
    return figure


def cell_panels(table: pd.DataFrame, label: str, height: Any, sharex: bool = False) -> tuple[Figure, list[Any]]:
    """One panel for each backbone and task, in order and as high as its content needs: tasks below each other, up to
    `MOST_ABREAST` backbones side by side. `label` stands below all panels. Raises `UserError` where the table is empty."""
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
        say_below(figure, label)
    return figure, axes


def say_below(figure: Figure, text: str) -> None:
    """What the axes show, below all panels, wrapped to the figure's width."""
    figure.supxlabel(fill(text, int(CHARACTERS * figure.get_figwidth())), fontsize=8)


def left_out(cells: pd.DataFrame, kept: pd.DataFrame, why: str) -> str:
    """The end of a sentence: the backbones and tasks of `cells` that `kept` lacks; empty where it lacks none."""
    there = set(kept[PANEL].itertuples(index=False, name=None))
    tasks = {task for _, task in there}
    gone = [cell for cell in dict.fromkeys(cells[PANEL].itertuples(index=False, name=None)) if cell not in there]
    names = dict.fromkeys(f"{task} ({backbone})" if task in tasks else str(task) for backbone, task in gone)
    return f"; not drawn, since {why}: {', '.join(names)}" if names else ""


def _places(names: list[tuple[str, ...]]) -> dict[tuple[str, ...], tuple[int, int]]:
    """Row and column of the panel of each backbone and task."""
    backbones, tasks = (list(dict.fromkeys(one)) for one in zip(*names))
    if len(backbones) > MOST_ABREAST:
        return {name: (i, 0) for i, name in enumerate(names)}
    rows = sorted(tasks)
    return {(backbone, task): (rows.index(task), backbones.index(backbone)) for backbone, task in names}


def legend(figure: Figure, axis: Any) -> None:
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(5, len(labels)), fontsize=8, frameon=False)


def colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]
