"""The arms of a diagnosis, one row each: how many fields are right, and what goes wrong with the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from fmtbench.analysis.rows.fields import fields_of, right_fields
from fmtbench.analysis.statistics.accuracy import condition_accuracy
from fmtbench.analysis.statistics.cube import Cube, cubes, unit_values
from fmtbench.answers.held import FILLED


def arms_table(rows: pd.DataFrame, conditions: Sequence[str]) -> pd.DataFrame:
    """`condition fields fields_low fields_high whole omitted hallucinated tokens prompt_tokens`, in the order of `conditions`.

    `rows`: of one backbone and one task. `fields`: share of fields that a lenient reader finds right, with its 95% interval;
    `whole`: share of records that keep the schema with every field right; `omitted` and `hallucinated`: shares of the gold
    record's filled and of its empty fields, over replies with a record (NaN where there are none); `tokens` and `prompt_tokens`:
    mean length of a reply and of its prompt.
    """
    (one,) = cubes(rows)
    one = one._replace(latent_CU=unit_values(rows, right_fields(rows).mean(axis=1).to_frame())[0])
    return pd.DataFrame([_line(one, rows, name) for name in conditions if name in one.conditions])


def _line(one: Cube, rows: pd.DataFrame, condition: str) -> dict[str, Any]:
    own = rows[rows["condition"] == condition]
    share = condition_accuracy(one, condition, "latent")
    return {
        "condition": condition,
        **dict(zip(("fields", "fields_low", "fields_high"), share)),
        "whole": float(own["correct"].mean()),
        **_faults(own),
        "tokens": float(own["completion_tokens"].mean()),
        "prompt_tokens": float(own["prompt_tokens"].mean()),
    }


def _faults(own: pd.DataFrame) -> dict[str, float]:
    long = fields_of(own)
    read, filled = long["latent"] != "unread", long["gold"] == FILLED
    shares = {}
    for name, among in (("omitted", read & filled), ("hallucinated", read & ~filled)):
        shares[name] = float((long["latent"][among] == name).mean()) if among.any() else np.nan
    return shares
