"""CSV whose text a spreadsheet shows instead of running it.

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
"""The characters with which a formula begins."""
NUMBERS = re.compile(r"[-+]?[\d.]+(?:, [-+]?[\d.]+)*")
"""A series of numbers is not a formula: `-5.0, +7.5`."""


def csv_text(table: DataFrame, digits: str | None = None) -> str:
    """The table as CSV without its index; `digits` is the format of fractional numbers, such as `%.6f`."""
    text = table.select_dtypes(exclude=["number", "bool", "datetime"]).columns
    shown = table.assign(**{name: table[name].map(as_text, na_action="ignore") for name in text})
    return shown.rename(columns=as_text).to_csv(index=False, float_format=digits)


def as_text(cell: Any) -> Any:
    """Text that no spreadsheet takes for a formula; anything but text is unchanged.

    A carriage return becomes a line break, which is quoted: as itself it would end the line, and what follows begin another.
    """
    if not isinstance(cell, str):
        return cell
    text = cell.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if text.startswith(FORMULA) and not NUMBERS.fullmatch(text) else text
