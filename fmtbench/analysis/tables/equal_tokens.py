"""Accuracy at equal tokens: what each condition gets right if no reply may be longer than a given number of tokens.

A reply counts if it is right and within the limit, so a condition that spends more, in a longer rationale or a second pass, is
limited to what the reference spends. That is what a run with that limit would score, provided that a cut reply is wrong: exact
for strict readings of formats whose answer comes last, and elsewhere a lower bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from fmtbench.analysis.statistics.bootstrap import variances
from fmtbench.analysis.statistics.cube import RERUN, Array, Cube, average, cells, cubes, sums
from fmtbench.conditions.axes import REFERENCE
from fmtbench.errors import UserError

SHARES = (0.5, 0.9)
"""Shares of the reference's replies that are within the limit."""
READINGS = {"strict": "", "latent": "latent_"}


def equal_tokens_table(rows: pd.DataFrame, reference: str = REFERENCE) -> pd.DataFrame:
    """One row for each backbone, task, condition and `limit` in tokens; shares: `accuracy` within it, and its `difference` from
    that of the reference under the same limit, with a 95% interval (normal, from the variance over items), over what both were
    asked; the same with the prefix `latent_`.

    The limits are those within which half and nine tenths of the reference's replies end
    (`of_reference`). Raises `UserError` where the reference was not run, or no row says how many tokens its reply has.
    """
    lines = [line for one in cubes(rows) if reference in one.conditions for line in _lines(one, reference)]
    if not rows["completion_tokens"].any():
        raise UserError("no row says how many tokens its reply has: transcripts are rescored without a tokenizer")
    if not lines:
        raise UserError(f"there is no {reference}, whose tokens are the measure: give reference= a condition that is there")
    return pd.DataFrame(lines)


def _lines(one: Cube, reference: str) -> Iterator[dict[str, Any]]:
    names = sorted((name for name in one.conditions if not name.endswith(RERUN)), key=lambda name: (name != reference, name))
    at, averaged = [one.at(name) for name in names], cells(one)
    tokens_U = one.tokens_CU[one.at(reference)]
    for share in SHARES:
        limit = float(np.quantile(tokens_U[np.isfinite(tokens_U)], share, method="inverted_cdf"))
        within = {reading: average(_within(one, reading, limit)[at], one) for reading in READINGS}
        values = {reading: _values(score_CU, averaged) for reading, score_CU in within.items()}
        for c, name in enumerate(names):
            line = {"backbone": one.backbone, "task": one.task, "condition": name, "limit": limit, "of_reference": share}
            line["n"] = len(np.unique(averaged.item_U[np.isfinite(within["strict"][c])]))
            for reading, prefix in READINGS.items():
                accuracy, difference, low, high = (some[c] for some in values[reading])
                nothing = name == reference or not np.isfinite(difference)
                ends = (np.nan,) * 3 if nothing else (difference, low, high)
                line |= {f"{prefix}accuracy": accuracy}
                line |= dict(zip((f"{prefix}difference", f"{prefix}low", f"{prefix}high"), ends))
            yield line


def _within(one: Cube, reading: str, limit: float) -> Array:
    score_CU = one.scores(reading)
    return np.where(np.isfinite(score_CU), score_CU * (one.tokens_CU <= limit), np.nan)


def _values(score_CU: Array, averaged: Cube) -> tuple[Array, Array, Array, Array]:
    """Accuracy, difference from the first condition, and its interval, each by condition."""
    summed = sums(score_CU - score_CU[0], averaged)
    difference_C, half_C = summed.means(), -special.ndtri(0.025) * np.sqrt(variances(summed))
    accuracy_C = sums(score_CU, averaged).means()
    return accuracy_C, difference_C, (difference_C - half_C).clip(-1, 1), (difference_C + half_C).clip(-1, 1)
