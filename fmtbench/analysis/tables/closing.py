"""The token that closes a rationale's string: under a schema a rationale ends where its string does, intended or not.

Raw line breaks are forbidden in a JSON string, and a model that wants one often closes the string instead: a short rationale is
the most common effect of a schema.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from fmtbench.analysis.statistics.bootstrap import FEWER_DRAWS, SEED
from fmtbench.analysis.statistics.per_item import mean_of_ratio
from fmtbench.analysis.tables.mass import measured, named, probed
from fmtbench.errors import UserError

CELL = ["backbone", "condition", "decoder", "dtype"]
WANTED = {"line_break": "a line break", "word": "a word", "mark": "another mark", "rest": "white space, special"}


def closing_table(
    rows: pd.DataFrame, mass_tokens: pd.DataFrame | None = None, draws: int = FEWER_DRAWS, seed: int = SEED
) -> pd.DataFrame:
    """One row for each backbone and condition whose rationale is a JSON string, over all tasks.

    `closed`: share of replies whose string closes. For the closing token: `words` of the rationale before it (median), `tax` in
    nats and `override`, both with bootstrap intervals over items, `breaks`, the mass of line breaks there, and what a forbidden
    first choice was, as shares of the overrides: `line_break`, `word`, `mark`, `rest`. `break_first`: share of all tokens of the
    rationale at which a line break was the first choice. Raises `UserError` where no string closes.
    """
    tokens = measured(probed(mass_tokens))
    tokens = tokens[tokens["against"] == "own"]
    lines = [dict(zip(CELL, key)) | _line(cell, draws, seed) for key, cell in tokens.groupby(CELL, observed=True, sort=True)
             if cell["closing"].astype(bool).any()]  # fmt: skip
    if not lines:
        raise UserError("no masked reply has a rationale in a string that closes: give a condition such as json_schema")
    return pd.DataFrame(lines)


def _line(cell: pd.DataFrame, draws: int, seed: int) -> dict[str, Any]:
    closing, rationale = cell[cell["closing"].astype(bool)], cell[cell["part"] == "reasoning"]
    replies = len(cell.drop_duplicates(["task", "item", "sample"]))
    forbidden = closing[closing["override"].astype(bool)]["first"].astype(str)
    shares = {name: float((forbidden == name).mean()) if len(forbidden) else np.nan for name in WANTED}
    shares["rest"] = float((~forbidden.isin(list(WANTED))).mean()) if len(forbidden) else np.nan
    return {
        "replies": replies,
        "closed": len(closing) / replies,
        "words": float(closing["words"].median()),
        **named("tax", _by_item(closing, "tax", draws, seed)),
        **named("override", _by_item(closing, "override", draws, seed)),
        "breaks": float(closing["breaks"].mean()),
        **shares,
        "break_first": float((rationale["first"] == "line_break").mean()) if len(rationale) else np.nan,
    }


def _by_item(closing: pd.DataFrame, name: str, draws: int, seed: int) -> Any:
    groups = closing.assign(value=closing[name].astype(float)).groupby(["task", "item"], observed=True)["value"]
    return mean_of_ratio(groups.sum().to_numpy(), groups.size().to_numpy(dtype=float), draws, seed)
