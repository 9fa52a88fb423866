"""Removed mass along the reply: whether a mask costs something at the opening only, or again and again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from fmtbench.analysis.statistics.bootstrap import FEWER_DRAWS, SEED
from fmtbench.analysis.statistics.per_item import mean_of_ratio
from fmtbench.analysis.tables.mass import ITEM, measured, named, probed
from fmtbench.errors import UserError

CELL = ["backbone", "task", "condition", "decoder", "dtype"]
REPLY = ["request_key", *ITEM, "sample"]
TENTHS = 10


def along_table(
    rows: pd.DataFrame, mass_tokens: pd.DataFrame | None = None, draws: int = FEWER_DRAWS, seed: int = SEED
) -> pd.DataFrame:
    """One row for each masked condition and place: 0 is the first token of a reply, 0.1 to 1 are the tenths of those after it.

    `tax`: nats per token, with a 95% bootstrap interval over items. `overrides`: share of tokens. Raises `UserError` where no
    masked reply was probed.
    """
    tokens = measured(probed(mass_tokens))
    tokens = tokens[tokens["against"] == "own"]
    if tokens.empty:
        raise UserError("no reply was held by a mask")
    tokens = tokens.assign(place=places(tokens))
    groups = tokens.groupby(CELL, observed=True, sort=True)
    return pd.DataFrame([dict(zip(CELL, key)) | line for key, cell in groups for line in _lines(cell, draws, seed)])


def places(tokens: pd.DataFrame) -> pd.Series:
    last = tokens.groupby(REPLY, observed=True)["position"].transform("max").to_numpy(dtype=float)
    return pd.Series(np.ceil(TENTHS * tokens["position"].to_numpy() / np.maximum(last, 1)) / TENTHS, index=tokens.index)


def _lines(cell: pd.DataFrame, draws: int, seed: int) -> Iterator[dict[str, Any]]:
    for place, at in cell.groupby("place"):
        by_item = at.groupby("item", observed=True)["tax"]
        tax = mean_of_ratio(by_item.sum().to_numpy(), by_item.size().to_numpy(dtype=float), draws, seed)
        yield {
            "place": float(place),
            "replies": len(at.drop_duplicates(REPLY)),
            "tokens": len(at),
            **named("tax", tax),
            "overrides": float(at["override"].astype(bool).mean()),
        }
