"""One item under every condition, side by side, as HTML for a notebook. Text from models is escaped."""

from __future__ import annotations

from html import escape
from typing import Any

import pandas as pd

from fmtbench.conditions.axes import REFERENCE

COLOURS = {"right": "#228833", "found by the lenient reader only": "#CC8800", "wrong": "#BB3344"}
PAGE = '<div style="display:grid;grid-template-columns:repeat(auto-fill,minmax(19em,1fr));gap:10px;align-items:start">{}</div>'
CARD = """\
<div style="border:1px solid #8888;border-left:5px solid {colour};border-radius:4px;padding:6px 9px;text-align:left">
<div><b>{condition}</b> <span style="color:{colour}">{verdict}{status}</span></div>
<pre style="{pre}">{text}</pre>
<div style="font-size:85%;opacity:.75">read as {answer} · {tokens} tokens</div></div>"""
PRE = "white-space:pre-wrap;word-break:normal;overflow-wrap:anywhere;font-size:85%;margin:5px 0;padding:0;background:none"
LONGEST = 900


def gallery(rows: pd.DataFrame, item_id: str, reference: str = REFERENCE) -> str:
    """`rows`: of one backbone, prompt and seed; shows the first sample, reference first, texts cut at `LONGEST`."""
    own = rows[(rows["item_id"] == item_id) & (rows["sample"] == 0)]
    ordered = sorted(own.itertuples(), key=lambda row: (row.condition != reference, row.condition))
    first = own.iloc[0]
    question = escape(str(first["question"] or "(the question belongs to its data set and is not kept here)"))
    head = f'<p style="white-space:pre-wrap;text-align:left">{question}<br><b>right answer: {escape(str(first["gold"]))}</b></p>'
    return head + PAGE.format("".join(_card(row) for row in ordered))


def _card(row: Any) -> str:
    verdict = "right" if row.correct else "found by the lenient reader only" if row.latent_correct else "wrong"
    text = row.text if len(row.text) <= LONGEST else f"{row.text[:LONGEST]} [...]"
    return CARD.format(
        pre=PRE,
        colour=COLOURS[verdict],
        condition=escape(str(row.condition)),
        verdict=verdict,
        status="" if row.status == "ok" else f" ({escape(str(row.status))})",
        text=escape(text),
        answer="nothing" if pd.isna(row.answer) else f"“{escape(str(row.answer))}”",
        tokens=row.completion_tokens,
    )


def most_divided(rows: pd.DataFrame) -> str:
    """The item on which the conditions agree least: the one whose share of right answers is closest to a half."""
    share = rows.groupby("item_id", observed=True)["correct"].mean()
    return str((share - 0.5).abs().idxmin())
