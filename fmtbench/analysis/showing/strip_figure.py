"""One reply as a heat strip: its tokens in order, each the redder the more mass the mask removed before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import pandas as pd
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from fmtbench.analysis.showing.figures import STYLE, say_below
from fmtbench.errors import UserError

COLUMNS = 92
"""Characters per line."""
WIDTH, LINE, SIZE = 6.4, 0.19, 7.4
"""The figure's width and the height of a line in inches; the type size in points, so that `COLUMNS` characters fill the width."""
HEAT = to_rgb("#CC3311")
MOST = 6.0
"""Nats at which a token is as red as it gets."""
SHOWN = {"\n": "↵", "\t": "→", " ": "·", "": "∅"}
MISSING = "□"
"""For characters that the font lacks."""
NOTE = (
    "red: mass that the mask took away, from none to {most:g} nats and more; underlined: the first choice was forbidden; "
    "· space, ↵ line break, ∅ a token without text"
)


class Piece(NamedTuple):
    """A part of a token, and where it is drawn."""

    line: int
    column: int
    text: str
    token: int


def heat_strip(table: pd.DataFrame) -> Figure:
    """A panel for each reply. Raises `UserError` where there is none."""
    replies = [reply for _, reply in table.groupby("backbone", observed=True, sort=True)]
    if not replies:
        raise UserError("no reply was held by a mask")
    laid = [lay_out([shown(text) for text in reply["text"]]) for reply in replies]
    heights = [1 + places[-1].line for places in laid]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, LINE * sum(heights) + 0.3 * len(replies) + 0.45), layout="constrained")
        panels = figure.subplots(len(replies), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axis, reply, places in zip(panels, replies, laid):
            _panel(axis, reply, places)
        say_below(figure, NOTE.format(most=MOST))
    return figure


def shown(text: str) -> str:
    """A token as the strip shows it: every character is visible, and there is at least one."""
    found = SHOWN.get(text) or "".join(SHOWN.get(one, one) for one in text)
    return "".join(one if one.isprintable() and ord(one) < 0x3000 else MISSING for one in found)


def lay_out(tokens: Sequence[str]) -> list[Piece]:
    """Places tokens in lines of `COLUMNS`: one that does not fit starts the next line, and is broken only where longer."""
    places, line, column = [], 0, 0
    for number, text in enumerate(tokens):
        if column and column + len(text) > COLUMNS:
            line, column = line + 1, 0
        pieces = [text[start : start + COLUMNS] for start in range(0, len(text), COLUMNS)]
        for more, piece in enumerate(pieces):
            line, column = (line + 1, 0) if more else (line, column)
            places.append(Piece(line, column, piece, number))
            column += len(piece)
    return places


def shade(tax: float) -> tuple[float, ...]:
    """White for nothing; a tenth of a nat is already visible."""
    heat = math.sqrt(min(tax, MOST) / MOST)
    return tuple(1 - heat * (1 - part) for part in HEAT)


def _panel(axis: Any, reply: pd.DataFrame, places: Sequence[Piece]) -> None:
    taxes, overrides = reply["tax"].tolist(), reply["override"].astype(bool).tolist()
    for at in places:
        box = (at.column, at.line)
        axis.add_patch(Rectangle(box, len(at.text), 1, facecolor=shade(taxes[at.token]), edgecolor="#DDDDDD", linewidth=0.3))
        light = "white" if taxes[at.token] > MOST / 2 else "#222222"
        axis.text(at.column, at.line + 0.52, at.text, family="monospace", fontsize=SIZE, va="center", color=light)
        if overrides[at.token]:
            axis.plot([at.column + 0.1, at.column + len(at.text) - 0.1], [at.line + 0.93] * 2, color="#222222", linewidth=1.0)
    one = reply.iloc[0]
    axis.set_title(f"{one['backbone']}, {one['task']}, {one['condition']}: {sum(taxes):.1f} nats", loc="left", fontsize=9)
    axis.set_xlim(0, COLUMNS)
    axis.set_ylim(1 + places[-1].line, 0)
    axis.set_axis_off()
