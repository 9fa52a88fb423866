"""A table as files: numbers under ids (.csv), and text for readers under the names of `conf/names` (.md, .tex)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from fmtbench.analysis.showing.document import APPENDIX
from fmtbench.analysis.showing.labels import Labels, headed, labelled
from fmtbench.analysis.showing.latex import TURNED, UPRIGHT, latex
from fmtbench.analysis.showing.text import footnoted, markdown, narrow, shown, spread
from fmtbench.store.csv_text import csv_text
from fmtbench.store.files import write_text

DIGITS = "%.9g"
"""The digits of a number in a .csv: further digits depend on the processor and the order of summation."""


def write_files(path: Path, table: pd.DataFrame, show: Mapping[str, Any], origin: Mapping[str, str], labels: Labels) -> list[str]:
    """Write `path` as .csv, .md and .tex. Returns the notes common to every line, which are shown only below the table."""
    write_text(path.with_suffix(".csv"), csv_text(table.assign(**origin), DIGITS))
    notes = common_notes(table)
    table = labelled(table, labels)
    below = table.attrs.get("below", [])
    caption = " ".join([show["caption"], *below, *(f"{note[:1].upper()}{note[1:]}." for note in notes)])
    source = f"From {origin['runs']}, made by {origin['commit']}."
    text, lines = footnoted(as_text(without(table, notes), show))
    headings = show.get("headings", {})
    write_text(path.with_suffix(".md"), markdown(headed(text, headings, labels), caption, source, lines))
    text, same = narrow(text, show.get("paper", ()), bare=show.get("bare", ()))
    width = TURNED if path.parent.name == APPENDIX else UPRIGHT
    caption = f"{caption} {same}.".replace(" .", "")
    made = latex(headed(text, headings, labels), path.name, caption, source, width=width, notes=lines if "note" in text else ())
    write_text(path.with_suffix(".tex"), made)
    return notes


def as_text(table: pd.DataFrame, show: Mapping[str, Any]) -> pd.DataFrame:
    """The table as text, without empty columns."""
    if "wide" in show:
        return spread(table, **show["wide"], percent=show.get("percent", ()))
    text = shown(table, show["columns"] or list(table.columns), show.get("percent", ()))
    return text.loc[:, (text != "").any()]


def without(table: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """The table without the notes that its caption gives, and without a column of notes that this leaves empty."""
    if "note" not in table.columns:
        return table
    rest = table["note"].map(lambda note: "; ".join(one for one in str(note).split("; ") if one not in notes))
    return table.assign(note=rest) if rest.any() else table.drop(columns="note")


def common_notes(table: pd.DataFrame) -> list[str]:
    """The notes that every line of a table has, and that so concern the whole study."""
    notes = [str(note).split("; ") for note in table.get("note", [])]
    return [note for note in dict.fromkeys(notes[0] if notes else []) if note and all(note in one for one in notes)]
