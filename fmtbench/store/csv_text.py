"""CSV whose text a spreadsheet shows and does not run.

A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula, and some formulas start programs; a tab or a
line break before it is passed over. So such a text gets an apostrophe before it, which spreadsheets take for "this is text"
(OWASP, CSV Injection). Names of models, conditions and fields come from outside; numbers stay numbers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame

FORMULA = ("=", "+", "-", "@", "\t", "\n")
"""What the text of a formula begins with."""
NUMBERS = re.compile(r"[-+]?[\d.]+(?:, [-+]?[\d.]+)*")
"""Numbers, one after another, are no formula: `-5.0, +7.5`."""


def csv_text(table: DataFrame, digits: str | None = None) -> str:
    """The table as CSV without its index; `digits` is the format of numbers that are no whole ones, such as `%.6f`."""
    text = table.select_dtypes(exclude=["number", "bool", "datetime"]).columns
    shown = table.assign(**{name: table[name].map(as_text, na_action="ignore") for name in text})
    return shown.rename(columns=as_text).to_csv(index=False, float_format=digits)


def as_text(cell: Any) -> Any:
    """A text that is no formula to a spreadsheet; what is no text stays as it is.

    A carriage return becomes a line break, which is quoted: as itself it would end the line, and what follows begin another.
    """
    if not isinstance(cell, str):
        return cell
    text = cell.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if text.startswith(FORMULA) and not NUMBERS.fullmatch(text) else text
