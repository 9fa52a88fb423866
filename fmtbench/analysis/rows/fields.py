"""The verdicts on the fields of records, stored in a row as JSON, as a long table: one row for each reply and field."""

from __future__ import annotations

import json

import pandas as pd

from fmtbench.answers.held import GOOD
from fmtbench.errors import UserError

KEPT = ("experiment", "backbone", "task", "condition", "prompt", "seed", "sample", "item_id")


def fields_of(rows: pd.DataFrame) -> pd.DataFrame:
    """`backbone task condition prompt seed sample item_id field strict latent gold`: the verdicts `strict` and `latent` are those
    of `answers/held.py`, and `gold` is `filled` or `empty`.

    Raises `UserError` where no row has a record for its answer, or a cell of `fields` is damaged.
    """
    table = _verdicts(rows)
    kept = rows[[name for name in KEPT if name in rows.columns]]
    return kept.loc[table["row"]].reset_index(drop=True).join(table.drop(columns="row"))


def right_fields(rows: pd.DataFrame, reading: str = "latent") -> pd.DataFrame:
    """Whether each reply has each field right, as 1 or 0: one row for each of `rows`, in their order, and one column per field.
    `rows` are of one task. Raises as `fields_of` does."""
    table = _verdicts(rows.reset_index(drop=True))
    good = table[reading].isin(GOOD).astype(float)
    wide = table.assign(good=good).pivot(index="row", columns="field", values="good")
    return wide[list(dict.fromkeys(table["field"]))]


def _verdicts(rows: pd.DataFrame) -> pd.DataFrame:
    """`row field strict latent gold`, where `row` is the index label of the row."""
    if "fields" not in rows.columns or rows["fields"].isna().all():
        raise UserError("no row is of a record: ask a task whose answers are records, such as task=file with schema.path=FILE")
    own = rows[rows["fields"].notna()]
    try:
        read = [list(json.loads(text).items()) for text in own["fields"]]
        lines = [(index, field, *verdicts) for index, found in zip(own.index, read) for field, verdicts in found]
        return pd.DataFrame(lines, columns=["row", "field", "strict", "latent", "gold"])
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError("the column fields holds something other than verdicts on fields: score the folder again") from error
