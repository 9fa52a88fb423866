"""The verdicts on the fields of records, which a row has as JSON, as a long table: one line for each reply and field."""

from __future__ import annotations

import json

import pandas as pd

from fmtbench.errors import UserError

KEPT = ("experiment", "backbone", "task", "condition", "prompt", "seed", "sample", "item_id")


def fields_of(rows: pd.DataFrame) -> pd.DataFrame:
    """`backbone task condition prompt seed sample item_id field strict latent gold`, where the verdicts `strict` and `latent` are
    words of `answers/held.py` and `gold` is `filled` or `empty`.

    Raises `UserError` where no row is of a record, or a cell of `fields` is damaged.
    """
    if "fields" not in rows.columns or rows["fields"].isna().all():
        raise UserError("no row is of a record: ask a task whose answers are records, such as task=file with schema.path=FILE")
    own = rows[rows["fields"].notna()]
    try:
        read = [list(json.loads(text).items()) for text in own["fields"]]
        lines = [(index, field, *verdicts) for index, found in zip(own.index, read) for field, verdicts in found]
        table = pd.DataFrame(lines, columns=["row", "field", "strict", "latent", "gold"])
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError("the column fields holds what is no verdict on fields: score the folder again") from error
    kept = own[[name for name in KEPT if name in own.columns]]
    return kept.loc[table["row"]].reset_index(drop=True).join(table.drop(columns="row"))
