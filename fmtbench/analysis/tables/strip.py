"""One masked reply of each backbone, token by token, with what each cost. Its figure is a heat strip."""

from __future__ import annotations

import pandas as pd

from fmtbench.analysis.tables.mass import PROBE
from fmtbench.errors import UserError


def strip_table(rows: pd.DataFrame, strip_tokens: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row for each token of the reply with the median tax of its cell (rows/strips.py). `tax`: nats. Raises `UserError`
    where no masked reply was probed."""
    if strip_tokens is None:
        raise UserError(f"no masked reply has a row for each of its tokens: {PROBE}")
    return strip_tokens
