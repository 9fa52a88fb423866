"""The page of a diagnosis as one HTML file without scripts, so that it can be mailed, or kept beside a build."""

from __future__ import annotations

import html
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from string import Template

import pandas as pd

from fmtbench.analysis.showing.diagnosis import Bars, Block, Heading, Headline, Listing, Paragraph
from fmtbench.analysis.statistics.diagnosis import Effect
from fmtbench.store.files import write_text

LABELS, DRAWN, LINE = 250, 420, 26
"""Pixels: width of the labels, width of the axis, height of a line."""
UNIT = "difference in points of fields that are right"


def write_diagnosis(path: Path, title: str, page: Sequence[Block]) -> None:
    """All text is data: it is escaped, and the page's policy allows neither scripts nor connections."""
    template = files("fmtbench.analysis.page").joinpath("diagnosis.html").read_text(encoding="utf-8")
    body = "\n".join(map(_block, page))
    write_text(path, Template(template).substitute(title=html.escape(title), body=body))


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        return f"<h2>{html.escape(block.text)}</h2>"
    if isinstance(block, Paragraph):
        return f"<p>{html.escape(block.text)}</p>"
    if isinstance(block, Headline):
        return f'<p class="verdict">{html.escape(block.text)}</p>'
    return _table(block.cells) if isinstance(block, Listing) else _figure(block)


def _table(table: pd.DataFrame) -> str:
    head = "".join(f"<th>{html.escape(str(name))}</th>" for name in table.columns)
    lines = ("".join(f"<td>{html.escape(str(cell))}</td>" for cell in line) for line in table.itertuples(index=False))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(f'<tr>{line}</tr>' for line in lines)}</tbody></table>"


def _figure(bars: Bars) -> str:
    """Differences in points with their intervals, on one axis with zero in the same place for all."""
    most = 100 * max(max(abs(one.low), abs(one.high)) for one in bars.effects)
    widest = next((edge for edge in (2, 5, 10, 25, 50) if most <= edge), 100)
    height = LINE * (len(bars.labels) + 1)
    ticks = "".join(_tick(value, widest, height) for value in (-widest, -widest / 2, 0, widest / 2, widest))
    lines = "".join(_line(label, one, i, widest) for i, (label, one) in enumerate(zip(bars.labels, bars.effects)))
    size = f"0 0 {LABELS + DRAWN + 40} {height + LINE}"
    axis = f'<text class="tick" x="{_x(0, widest):.1f}" y="{height + LINE / 2:.0f}">{UNIT}</text>'
    return f'<svg role="img" aria-label="{UNIT}" viewBox="{size}">{ticks}{lines}{axis}</svg>'


def _x(value: float, widest: float) -> float:
    return LABELS + DRAWN * (value + widest) / (2 * widest) + 15


def _tick(value: float, widest: float, height: int) -> str:
    x = _x(value, widest)
    text = f"{value:+g}" if value else "0"
    return (
        f'<line class="{"zero" if not value else "grid"}" x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{height - LINE + 4}"/>'
        f'<text class="tick" x="{x:.1f}" y="{height - 6}">{text}</text>'
    )


def _line(label: str, one: Effect, number: int, widest: float) -> str:
    y = LINE * number + LINE / 2 + 4
    low, middle, high = (_x(100 * value, widest) for value in (one.low, one.value, one.high))
    sure = "worse" if one.high < 0 else "better" if one.low > 0 else "unsure"
    return (
        f'<text x="{LABELS}" y="{y + 4:.1f}" text-anchor="end">{html.escape(label)}</text>'
        f'<line class="{sure}" x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<circle class="{sure}" cx="{middle:.1f}" cy="{y:.1f}" r="4"/>'
    )
