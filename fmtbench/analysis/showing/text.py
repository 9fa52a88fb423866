"""A data frame as text, the same for Markdown and LaTeX.

`value`, `value_low`, `value_high` become one cell `value [low, high]`; columns named in `percent` are shares, shown in
per cent. Missing values are empty.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fmtbench.analysis.showing.markdown import to_markdown

SHORT_NOTE = 40
"""The longest note that stays in its cell, in characters."""


def shown(table: pd.DataFrame, columns: Sequence[str], percent: Collection[str] = ()) -> pd.DataFrame:
    """The chosen columns as text, in order; columns that the table lacks are left out.

    A name for which only `name_low` and `name_high` exist is shown as an interval without a value.
    """
    there = [name for name in columns if {name, f"{name}_low"} & set(table.columns)]
    return pd.DataFrame({name: _texts(table, name, name in percent) for name in there})


def narrow(text: pd.DataFrame, wanted: Collection[str] = (), bare: Collection[str] = ()) -> tuple[pd.DataFrame, str]:
    """For a printed page: the `wanted` columns (all if none are named), those in `bare` without intervals, and without backbone,
    task and reference where all lines share them; the second value says what these are."""
    text = text.assign(**{name: text[name].str.replace(r" \[.*\]", "", regex=True) for name in bare if name in text.columns})
    text = text[[name for name in text.columns if not wanted or name in wanted]]
    same = [name for name in ("backbone", "task", "reference") if name in text.columns and text[name].nunique() == 1]
    return text.drop(columns=same), "; ".join(f"{name}: {text[name].iloc[0]}" for name in same)


def spread(
    table: pd.DataFrame, column: str, value: str, percent: Collection[str] = (), entries: Collection[str] = ()
) -> pd.DataFrame:
    """A long table as a wide one: the cells of `value` side by side under the `entries` of `column` (all if none are named), in
    their order. A value's own range follows it in parentheses.

    What is zero by definition is left empty; the notes on a residual get a column of their own.
    """
    table = table[table[column].isin(entries)] if entries else table
    keys = [name for name in ("backbone", "task", "condition", "reference", "n") if name in table.columns]
    empty = (table[[value, "low", "high"]] == 0).all(axis=1)
    text = pd.Series(_texts(table, value, value in percent), index=table.index).where(~empty, "") + _ranges(table)
    wide = table[keys].assign(_entry=table[column], _text=text).pivot(index=keys, columns="_entry", values="_text")
    wide = wide.loc[list(dict.fromkeys(table[keys].itertuples(index=False, name=None)))]
    wide = wide[[name for name in table[column].unique() if (wide[name] != "").any()]]
    notes = table.loc[(table[column] == "residual") & (table["note"] != "")].set_index(keys)["note"]
    wide = (wide.assign(note=notes) if len(notes) else wide).fillna("")
    return wide.reset_index().astype(str).rename_axis(columns=None)


def _texts(table: pd.DataFrame, name: str, percent: bool) -> list[str]:
    bounds = next(
        ((low, high) for low, high in ((f"{name}_low", f"{name}_high"), *_bare(name)) if {low, high} <= set(table.columns)), None
    )
    if name not in table.columns:
        low, high = ([_text(value, "diff", percent) for value in table[f"{name}_{end}"]] for end in ("low", "high"))
        return [f"[{a}, {b}]" if a else "" for a, b in zip(low, high)]
    values = [_text(value, name, percent) for value in table[name]]
    if bounds is None:
        return values
    ends = zip(*([_text(value, name, percent) for value in table[bound]] for bound in bounds))
    return [f"{value} [{low}, {high}]" if value and low else value for value, (low, high) in zip(values, ends)]


def _ranges(table: pd.DataFrame) -> pd.Series:
    """` (from..to)` where a value has a range, such as that over the orders of a decomposition."""
    nothing = pd.Series("", index=table.index)
    if "range_low" not in table.columns:
        return nothing
    low, high = 100 * table["range_low"], 100 * table["range_high"]
    text = low.map("{:+.1f}".format) + ".." + high.map("{:+.1f}".format)
    return nothing.where(~(high - low > 0.05), " (" + text.str.replace("[+-]0\\.0", "0.0", regex=True) + ")")


def _bare(name: str) -> list[tuple[str, str]]:
    if name == "latent_difference":
        return [("latent_low", "latent_high")]
    return [("low", "high")] if name in ("difference", "value", "published") else []


def _text(value: Any, name: str, percent: bool) -> str:
    if pd.isna(value):
        return ""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return _number(float(value), name, percent) if isinstance(value, float | np.floating) else str(value)


def _number(value: float, name: str, percent: bool) -> str:
    if percent:
        signed = f"{100 * value:+.1f}" if "diff" in name or name == "value" else f"{100 * value:.1f}"
        return signed.replace("+0.0", "0.0").replace("-0.0", "0.0") if abs(value) < 0.0005 else signed
    if np.isinf(value):
        return "inf"
    return (
        _probability(value) if name.startswith("p_") or "_p_" in name else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    )


def _probability(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def markdown(text: pd.DataFrame, caption: str, origin: str, notes: Sequence[str] = ()) -> str:
    """`notes`: lines between the caption and the origin."""
    body = to_markdown(text.map(lambda cell: cell.replace("|", "\\|").replace("\n", " ")))
    return "\n\n".join([body.rstrip("\n"), caption, *notes, origin]) + "\n"


def footnoted(text: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Long notes replaced by numbers, and what each number stands for; a table with only short notes keeps them."""
    notes = [note for note in dict.fromkeys(text.get("note", [])) if note]
    if max(map(len, notes), default=0) <= SHORT_NOTE:
        return text, []
    numbers = {note: f"({i})" for i, note in enumerate(notes, start=1)}
    return text.assign(note=text["note"].map(numbers | {"": ""})), [f"{number} {note}." for note, number in numbers.items()]
