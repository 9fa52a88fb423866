"""The same replies under the masks of two libraries: both enforce the same regular expression, so their masks should agree."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pandas as pd

from fmtbench.analysis.tables.mass import probed
from fmtbench.errors import UserError

CELL = ["backbone", "condition", "dtype"]
TOKEN = ["task", "prompt", "seed", "sample", "request_key", "position"]
REPLY = TOKEN[:-1]


def decoders_table(rows: pd.DataFrame, mass_tokens: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row for each backbone, condition and pair of decoders, over all tasks.

    `tokens`: of replies that both allow. `differing`: share of them at which the two allow different numbers of tokens, and
    `more`, how many more the first allows there (median). `apart`, `farthest`: mean and largest difference of ln Z between the
    two, in nats. `forbidden`: replies that the first allows and the second does not; `forbidden_first`: the reverse. Raises
    `UserError` where no reply was probed under two decoders.
    """
    own = probed(mass_tokens)
    own = own[own["against"] == "own"]
    lines = []
    for key, cell in own.groupby(CELL, observed=True, sort=True):
        for pair in combinations(sorted(map(str, cell["decoder"].unique())), 2):
            lines.append(dict(zip(CELL, key)) | dict(zip(("first", "second"), pair)) | _line(cell, *pair))
    if not lines:
        raise UserError("no reply was probed under two decoders: run experiments.lockin once more with decoder=xgrammar")
    return pd.DataFrame(lines)


def _line(cell: pd.DataFrame, first: str, second: str) -> dict[str, Any]:
    one, other = (cell[cell["decoder"] == name] for name in (first, second))
    both = one[one["problem"].isna()].merge(other[other["problem"].isna()], on=TOKEN, suffixes=("", "_other"))
    more = both["allowed"] - both["allowed_other"]
    apart = (both["left"] - both["left_other"]).abs()
    return {
        "replies": len(both.drop_duplicates(REPLY)),
        "tokens": len(both),
        "differing": float((more != 0).mean()),
        "more": float(more[more != 0].median()),
        "apart": float(apart.mean()),
        "farthest": float(apart.max()),
        "forbidden": _forbidden(one, other),
        "forbidden_first": _forbidden(other, one),
    }


def _forbidden(one: pd.DataFrame, other: pd.DataFrame) -> int:
    """How many replies one decoder allows and the other does not."""
    sound = one[one["problem"].isna()].drop_duplicates(REPLY)[REPLY]
    return len(sound.merge(other[other["problem"] == "left_grammar"].drop_duplicates(REPLY)[REPLY], on=REPLY))
