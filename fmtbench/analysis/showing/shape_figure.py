"""The shape of a schema as a dose: the accuracy of one answer, and below it the tokens of the reply, one panel per axis."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fmtbench.analysis.showing.figures import STYLE, colour, legend, say_below
from fmtbench.errors import UserError

TITLES = {
    "fields": "fields",
    "depth": "objects around the answer",
    "enum_size": "labels of the answer's enum",
    "enum_place": "place of the right label",
    "optional": "share of optional fields",
    "description_words": "words that describe a field",
    "max_length": "characters of the answer",
    "list_length": "elements of a list before it",
}
AT_ZERO = {"enum_size": "none", "enum_place": "shuffled", "max_length": "any", "list_length": "no list"}
ABREAST = 4
WIDTH, HEIGHT = 2.1, 2.4
"""Size of a panel, in inches."""
NOTE = (
    "latent accuracy of the answer; bars: 95% of the difference to the first dose on the same items, at the dose; dashed: the "
    "first dose; dotted: the share of items whose answer the schema has room for; beneath: mean tokens of a reply"
)


def shape_curves(table: pd.DataFrame) -> Figure:
    """A panel for each backbone and axis, a line for each condition. Raises `UserError` where the table is empty."""
    if table.empty:
        raise UserError("its table has no lines")
    conditions = list(dict.fromkeys(table["condition"]))
    backbones = [list(group.groupby("axis", sort=False)) for _, group in table.groupby("backbone", sort=False)]
    across = min(ABREAST, max(map(len, backbones)))
    blocks = [-(-len(panels) // across) for panels in backbones]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(max(2, across) * WIDTH, sum(blocks) * HEIGHT + 0.7), layout="constrained")
        grid = figure.add_gridspec(sum(blocks), across)
        drawn = []
        for number, panels in enumerate(backbones):
            for place, (axis, group) in enumerate(panels):
                cell = grid[sum(blocks[:number]) + place // across, place % across]
                title = TITLES.get(str(axis), str(axis))
                named = f"{group['backbone'].iloc[0]}\n{title}" if len(backbones) > 1 else title
                drawn.append(_panel(figure, cell, group, conditions, named, place % across == 0))
        legend(figure, drawn[0])
        say_below(figure, NOTE)
    return figure


def _panel(figure: Figure, cell: Any, group: pd.DataFrame, conditions: list[str], title: str, first: bool) -> Any:
    above, below = cell.subgridspec(2, 1, height_ratios=[3, 1]).subplots(sharex=True)
    doses = list(dict.fromkeys(group["dose"]))
    for i, name in enumerate(conditions):
        own = group[group["condition"] == name]
        if len(own):
            _curve(above, below, own, doses, i, len(conditions))
    if (group["possible"] < 1).any():
        room = group.drop_duplicates("dose").set_index("dose")["possible"].reindex(doses)
        above.plot(range(len(doses)), 100 * room, ":", color="#222222", linewidth=1)
    above.set_title(title, loc="left", fontsize=8)
    above.set_ylim(-4, 104)
    above.tick_params(labelbottom=False, labelsize=7)
    below.set_ylim(0, 1.15 * max(1.0, group["tokens"].max()))
    below.set_xlim(-0.5, len(doses) - 0.5)
    below.set_xticks(range(len(doses)), [_label(str(group["axis"].iloc[0]), dose) for dose in doses])
    below.tick_params(labelsize=7)
    if first:
        above.set_ylabel("accuracy, %", fontsize=8)
        below.set_ylabel("tokens", fontsize=8)
    return above


def _curve(above: Any, below: Any, own: pd.DataFrame, doses: list[float], i: int, many: int) -> None:
    place = np.array([doses.index(dose) for dose in own["dose"]]) + 0.12 * (i - (many - 1) / 2)
    value = 100 * own["latent_accuracy"].to_numpy(float)
    apart, low, high = (100 * own[f"latent_{name}"].to_numpy(float) for name in ("difference", "low", "high"))
    ends = np.nan_to_num(np.vstack([np.minimum(apart - low, value), np.minimum(high - apart, 100 - value)]))
    look: dict[str, Any] = {"color": colour(i), "markersize": 3.5, "linewidth": 1.2}
    above.axhline(value[0], color=colour(i), linewidth=0.7, linestyle="--", alpha=0.6)
    above.errorbar(place, value, yerr=np.maximum(ends, 0), fmt="o-", capsize=2, label=own["condition"].iloc[0], **look)
    below.plot(place, own["tokens"], ".-", **look)


def _label(axis: str, dose: float) -> str:
    return AT_ZERO[axis] if axis in AT_ZERO and not dose else f"{dose:g}"
