"""What a table of rows must look like: its columns, their kinds, and what may be empty; checked by pydantic.

The columns are those that DESIGN promises for `rows.parquet`; a file may hold more. Not the rows are validated but a
profile of each column, so that a million rows cost no more than a glance at each column.
"""

from __future__ import annotations

from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, NonNegativeFloat, ValidationError

from fmtbench.errors import UserError


class Name(BaseModel):
    """What makes the key of a row, or groups rows."""

    kind: Literal["string"]
    missing: Literal[0]


class Index(BaseModel):
    kind: Literal["integer"]
    missing: Literal[0]


class Text(BaseModel):
    """May be empty, in all rows too."""

    kind: Literal["string", "empty"]


class Verdict(BaseModel):
    """True and false; 1 and 0 are taken for them."""

    kind: Literal["boolean", "integer", "number"]
    values: frozenset[bool]


class Amount(BaseModel):
    kind: Literal["integer", "number"]
    missing: Literal[0]
    least: NonNegativeFloat


class Known(BaseModel):
    """An amount that a server may not tell."""

    kind: Literal["integer", "number", "empty"]
    least: NonNegativeFloat


class Columns(BaseModel):
    """One field a column."""

    experiment: Name
    backbone: Name
    task: Name
    condition: Name
    prompt: Name
    seed: Index
    sample: Index
    item_id: Name
    question: Text
    gold: Name
    answer: Text
    status: Name
    correct: Verdict
    latent_answer: Text
    latent_correct: Verdict
    finish_reason: Text
    prompt_tokens: Amount
    completion_tokens: Amount
    reasoning_tokens: Known
    reasoning_words: Amount
    text: Text
    request_key: Text
    seconds: Amount


COLUMNS = list(Columns.model_fields)
UNREAD = ("question", "text", "request_key", "experiment", "finish_reason")
"""What no table reads: left on the disk when a study is loaded for its tables."""


def check_columns(rows: pd.DataFrame, name: str, without: tuple[str, ...] = ()) -> None:
    """Raises `UserError` with one line on the first kind of thing that is wrong. `without`: columns not loaded on purpose."""
    there = [column for column in COLUMNS if column in rows.columns]
    missing = rows[there].isna().sum()
    profiles: dict[str, Any] = {column: _profile(rows[column], int(missing[column])) for column in there}
    profiles = {column: {"kind": "string", "missing": 0} for column in without if column not in rows.columns} | profiles
    try:
        Columns.model_validate(profiles)
    except ValidationError as error:
        raise UserError(f"{name}: {_complaint(error, profiles)}") from error


def _profile(column: pd.Series, missing: int) -> dict[str, Any]:
    kind = _kind(column, missing)
    verdict = kind in ("boolean", "integer", "number") and column.name in ("correct", "latent_correct")
    return {
        "kind": kind,
        "missing": missing,
        "least": float(column.min()) if kind in ("integer", "number") and len(column) else 0.0,
        "values": frozenset(column.unique().tolist()) if verdict else frozenset(),
    }


def _kind(column: pd.Series, missing: int) -> str:
    """`empty` where nothing but missing values is known."""
    if len(column) and missing == len(column):
        return "empty"
    dtype = column.dtype.categories.dtype if isinstance(column.dtype, pd.CategoricalDtype) else column.dtype
    checks = pd.api.types
    for kind, check in (
        *(("string", pd.api.types.is_string_dtype), ("boolean", checks.is_bool_dtype)),
        *(("integer", checks.is_integer_dtype), ("number", checks.is_float_dtype)),
    ):
        if not checks.is_object_dtype(dtype) and check(dtype):
            return kind
    inferred = checks.infer_dtype(column, skipna=True)
    return {"floating": "number", "empty": "string"}.get(inferred, inferred)


def _complaint(error: ValidationError, profiles: dict[str, Any]) -> str:
    problems = error.errors()
    absent = [str(one["loc"][0]) for one in problems if len(one["loc"]) == 1]
    empty = [str(one["loc"][0]) for one in problems if one["loc"][1:] == ("missing",)]
    if absent:
        return f"lack the columns {absent}: they are not rows that this version of fmtbench wrote; score the folder again"
    if empty:
        return f"empty values in {empty}: each row needs them to be paired and counted"
    column, what = str(problems[0]["loc"][0]), problems[0]["loc"][1]
    if what == "values" or (what == "kind" and column.endswith("correct")):
        return f"{column} holds other values than true and false: score the folder again"
    if what == "least":
        return f"{column} holds {profiles[column]['least']:g}, allowed are numbers of at least 0: score the folder again"
    allowed = problems[0].get("ctx", {}).get("expected", "another kind")
    return f"{column} holds values of kind '{profiles[column]['kind']}', allowed is {allowed}: score the folder again"
