"""What a table of rows must look like: the columns of `types.Row`, their types, and which of them may be empty.

A file may hold more columns. Rules apply to whole columns, so checking a million rows takes no longer than their columns do.
"""

from __future__ import annotations

from typing import Any, NamedTuple, get_type_hints

import pandas as pd

from fmtbench.errors import UserError
from fmtbench.types import OPTIONAL, Count, Name, Row, Status


class Rule(NamedTuple):
    """What a column must hold, given its type in `Row`."""

    kinds: tuple[str, ...]
    filled: bool = False
    """No value may be missing."""
    positive: bool = False
    """No value is below 0."""
    verdict: bool = False
    """Every value is true or false; 1 and 0 are read as such."""


RULES: dict[Any, Rule] = {
    Name: Rule(("string",), filled=True),
    Status: Rule(("string",), filled=True),
    str: Rule(("string", "empty")),
    str | None: Rule(("string", "empty")),
    int: Rule(("integer",), filled=True),
    Count: Rule(("integer", "number"), filled=True, positive=True),
    Count | None: Rule(("integer", "number", "empty"), positive=True),
    float: Rule(("integer", "number"), filled=True, positive=True),
    bool: Rule(("boolean", "integer", "number"), verdict=True),
}
COLUMNS: dict[str, Rule] = {name: RULES[hint] for name, hint in get_type_hints(Row, include_extras=True).items()}
KINDS = {
    "string": pd.api.types.is_string_dtype,
    "boolean": pd.api.types.is_bool_dtype,
    "integer": pd.api.types.is_integer_dtype,
    "number": pd.api.types.is_float_dtype,
}
UNREAD = ("question", "text", "thought", "request_key", "experiment")
"""Columns that no table reads, so they are not loaded for tables."""


def check_columns(rows: pd.DataFrame, name: str, without: tuple[str, ...] = ()) -> None:
    """Raises `UserError` with one line about the first problem found. `without`: columns that were deliberately not loaded."""
    if complaint := _complaint(rows, without):
        raise UserError(f"{name}: {complaint}")


def _complaint(rows: pd.DataFrame, without: tuple[str, ...]) -> str | None:
    absent = [name for name in COLUMNS if name not in rows.columns and name not in (*without, *OPTIONAL)]
    if absent:
        return f"lack the columns {absent}: they are not rows that this version of fmtbench wrote; score the folder again"
    there = {name: rule for name, rule in COLUMNS.items() if name in rows.columns}
    missing = rows[list(there)].isna().sum()
    if empty := [name for name, rule in there.items() if rule.filled and missing[name]]:
        return f"empty values in {empty}: each row needs them to be paired and counted"
    found = (_wrong(rows[name], rule, int(missing[name])) for name, rule in there.items())
    return next(filter(None, found), None)


def _wrong(column: pd.Series, rule: Rule, missing: int) -> str | None:
    kind = _kind(column, missing)
    if rule.verdict and column.dtype != bool and (kind not in rule.kinds or not set(column.unique()) <= {True, False}):
        return f"{column.name} holds values other than true and false: score the folder again"
    if kind not in rule.kinds:
        *others, last = (f"'{one}'" for one in rule.kinds)
        allowed = f"{', '.join(others)} or {last}" if others else last
        return f"{column.name} holds values of kind '{kind}', allowed is {allowed}: score the folder again"
    if rule.positive and kind != "empty" and len(column) and (least := (column.dropna() if missing else column).min()) < 0:
        return f"{column.name} holds {least:g}, allowed are numbers of at least 0: score the folder again"
    return None


def _kind(column: pd.Series, missing: int) -> str:
    """The kind of a column; `empty` if all values are missing."""
    if len(column) and missing == len(column):
        return "empty"
    dtype = column.dtype.categories.dtype if isinstance(column.dtype, pd.CategoricalDtype) else column.dtype
    checks = pd.api.types
    if checks.is_object_dtype(dtype):
        inferred = checks.infer_dtype(column, skipna=True)
        return {"floating": "number", "empty": "string"}.get(inferred, inferred)
    for kind, is_kind in KINDS.items():
        if is_kind(dtype):
            return kind
    return checks.infer_dtype(column, skipna=True)
