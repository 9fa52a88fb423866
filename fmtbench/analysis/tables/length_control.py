"""Differences with the length of the rationale held equal: is a format worse, or only shorter?

    d = adjusted + slope * log2((1 + words under the condition) / (1 + words under the reference)) + noise

over the items and prompts that both were asked, samples averaged. `adjusted` is the difference that the line gives where both
rationales have the same number of words: the idea of length-controlled win rates (Dubois et al. 2024, arXiv 2404.04475), here
for pairs of the same item, so that what makes an item hard and long under both conditions cancels.

What it estimates exactly is the mean difference of pairs of equal length, provided the difference is linear in the log of the
ratio. That equals the effect of a format other than through length only if nothing else moves both length and verdict from one
condition to the other: length is not assigned, it is an outcome. A reply that strays is long because it fails. So the adjusted
difference says whether length could account for a difference, and never that it does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from fmtbench.analysis.statistics.cube import Array, Cube, Index, cells, cubes
from fmtbench.analysis.statistics.pairs import Pair, difference_KU, pairs_of, planned_pairs
from fmtbench.conditions.axes import REFERENCE
from fmtbench.errors import UserError

READINGS = {"strict": "", "latent": "latent_"}
FEWEST_ITEMS = 10
OUTSIDE = "hardly a pair has rationales of equal length: the adjusted difference is extrapolated"
CONSTANT = "the ratio of lengths does not vary, or there are too few items"
EDGE = 0.05
"""Where fewer than this share of pairs lie on one side of equal length, equal length is at the edge of the data."""


class Line(NamedTuple):
    """Intercept with its 95% interval, and slope; NaN where there is no line."""

    value: float
    low: float
    high: float
    slope: float
    slope_low: float
    slope_high: float


def length_control_table(
    rows: pd.DataFrame, reference: str = REFERENCE, planned: Sequence[Mapping[str, str] | str] = ()
) -> pd.DataFrame:
    """One row for each backbone, task and contrast; shares: `difference` as in the contrasts, `adjusted` with its 95% interval
    (least squares, errors clustered by item), `slope`: the change of the difference with each doubling of the words of the
    rationale relative to the reference's; the same with the prefix `latent_`. `words`, `reference_words`: means.

    Raises `UserError` where no contrast has rationales on both sides.
    """
    wanted = planned_pairs(planned, reference)
    lines = [line for one in map(cells, cubes(rows)) for pair in pairs_of(one, reference, wanted) for line in _line(one, pair)]
    if not lines:
        raise UserError("no contrast has rationales on both sides: their lengths cannot be held equal")
    return pd.DataFrame(lines)


def _line(one: Cube, pair: Pair) -> Iterator[dict[str, Any]]:
    words_PU = one.words_CU[[one.at(name) for name in pair]]
    shared = np.isfinite(words_PU).all(axis=0) & np.isfinite(difference_KU(one, [pair])[0])
    if not shared.any() or not words_PU[:, shared].any(axis=1).all():
        return  # one side never reasons
    ratio_U = np.log2((1 + words_PU[0, shared]) / (1 + words_PU[1, shared]))
    line: dict[str, Any] = {"backbone": one.backbone, "task": one.task, **pair._asdict()}
    line |= {"n": len(np.unique(one.item_U[shared])), "words": words_PU[0, shared].mean()}
    line |= {"reference_words": words_PU[1, shared].mean()}
    for reading, name in READINGS.items():
        difference_U = difference_KU(one, [pair], reading)[0][shared]
        found = fit(difference_U, ratio_U, one.item_U[shared])
        names = ("adjusted", "adjusted_low", "adjusted_high", "slope", "slope_low", "slope_high")
        line |= {f"{name}difference": float(difference_U.mean())} | {f"{name}{key}": value for key, value in zip(names, found)}
    below = float((ratio_U < 0).mean() + (ratio_U == 0).mean() / 2)
    note = CONSTANT if np.isnan(line["adjusted"]) else OUTSIDE if not EDGE <= below <= 1 - EDGE else ""
    yield line | {"note": note}


def fit(difference_U: Array, ratio_U: Array, item_U: Index) -> Line:
    """The least-squares line through the pairs, with errors clustered by item (Liang and Zeger 1986, with the usual correction
    for few clusters and t quantiles)."""
    _, cluster_U = np.unique(item_U, return_inverse=True)
    items = int(cluster_U.max()) + 1
    if items < FEWEST_ITEMS or np.ptp(ratio_U) < 1e-9:
        return Line(*[float("nan")] * 6)
    design_UB = np.column_stack([np.ones(len(ratio_U)), ratio_U])
    inverse = np.linalg.inv(design_UB.T @ design_UB)
    beta = inverse @ design_UB.T @ difference_U
    score_UB = design_UB * (difference_U - design_UB @ beta)[:, None]
    score_IB = np.column_stack([np.bincount(cluster_U, weights=column) for column in score_UB.T])
    few = items / (items - 1) * (len(ratio_U) - 1) / (len(ratio_U) - 2)
    half = special.stdtrit(items - 1, 0.975) * np.sqrt(few * np.diag(inverse @ (score_IB.T @ score_IB) @ inverse))
    return Line(beta[0], beta[0] - half[0], beta[0] + half[0], beta[1], beta[1] - half[1], beta[1] + half[1])
