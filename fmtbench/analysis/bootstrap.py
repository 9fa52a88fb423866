"""The cluster bootstrap over items, then prompts, for many statistics at once.

Items are drawn with replacement and keep all their prompts and samples (Davison and Hinkley 1997, section 3.8: of nested
levels only the outermost is drawn again, since drawing both counts the inner noise twice). Prompts come second: the part
of their spread that the noise of items does not explain is a variance component of its own, added where an F test at 5%
finds it, drawn from Student's distribution for the few prompts there are. Without that gate two to six prompts widen
every interval by noise.

A percentile interval of a few disagreeing pairs is too short and of none has no width. So one pair of imagined items
takes part in the drawing, the one half a point for and the other against (after Bonett and Price 2012, Statistics in
Medicine 31:3729, who add one item each way; half of that held the nominal level best in `experiments.simulate`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from fmtbench.analysis.cube import Array, Sums

DRAWS = 10_000
FEWER_DRAWS = 2_000
"""For tables that draw anew for each condition."""
MOST_PICKS = 100_000_000
"""10 000 draws of 10 000 items; beyond, fewer draws are made, but at least 1000."""
FEW_KINDS = 4
SEED = 0
BLOCK = 4_000_000
IMAGINED = np.sqrt(0.5)


class Draws(NamedTuple):
    """K means and B bootstrap draws of each."""

    means_K: Array
    draws_BK: Array

    def interval(self, level: float = 0.95) -> tuple[Array, Array]:
        """Percentile intervals; NaN where nothing was measured."""
        low, high = np.quantile(self.draws_BK, [(1 - level) / 2, (1 + level) / 2], axis=0)
        return low, high


def bootstrap(sums: Sums, draws: int = DRAWS, seed: int = SEED, constant_K: Array | None = None, rates: bool = False) -> Draws:
    """Draws of K means, all from the same drawn items, so that differences between the K stay paired.

    `constant_K` marks statistics that get no imagined items; zero by definition, their interval has no width. The imagined
    items of `rates` (0..1) are one success and one failure.
    """
    means_K = sums.means()
    draws = min(draws, max(1000, MOST_PICKS // max(1, len(sums.value_IPK))))
    value_IK, count_IK = sums.value_IPK.sum(1), sums.count_IPK.sum(1)
    per_item_K = count_IK.sum(0) / np.maximum((count_IK > 0).sum(0), 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        size_K = per_item_K if rates else _imagined(sums)
        added = np.vstack([size_K, np.zeros_like(size_K) if rates else -size_K, per_item_K, per_item_K])
        added[:, np.zeros(len(means_K), bool) if constant_K is None else constant_K] = 0.0
        value, count = np.vstack([value_IK, added[:2]]), np.vstack([count_IK, added[2:]])
        drawn_BK = _drawn_items(value, count, draws, np.random.default_rng(seed))
        drawn_BK += _drawn_prompts(sums, means_K, draws, np.random.default_rng([seed, 1]))
    return Draws(means_K, drawn_BK)


def _imagined(sums: Sums) -> Array:
    """Size of the imagined items in units of sums: that of one independent measurement in each item (design effect)."""
    count_IK = sums.count_IPK.sum(1)
    per_item_K = count_IK.sum(0) / np.maximum((count_IK > 0).sum(0), 1)
    mean_IK = np.divide(sums.value_IPK.sum(1), count_IK, out=np.zeros(count_IK.shape), where=count_IK > 0)
    mean_IPK = np.divide(sums.value_IPK, sums.count_IPK, out=np.zeros(sums.count_IPK.shape), where=sums.count_IPK > 0)
    cells_K = (sums.count_IPK > 0).sum((0, 1)) / np.maximum((count_IK > 0).sum(0), 1)
    square_K = (mean_IPK**2).sum((0, 1)) / np.maximum(cells_K, 1)
    effect_K = np.divide((mean_IK**2).sum(0), square_K, out=np.ones(len(square_K)), where=square_K > 0)
    return IMAGINED * per_item_K * np.clip(effect_K, 0, 1)


def _drawn_items(value: Array, count: Array, draws: int, rng: np.random.Generator) -> Array:
    """`value`, `count`: items (the imagined ones last) x K.

    Items that are alike in all K need no drawing one by one: how many of each kind are drawn is multinomial.
    """
    kinds, number = np.unique(np.hstack([value, count]), axis=0, return_counts=True)
    n, many = len(value), len(kinds) * FEW_KINDS > len(value)
    value, count = (value, count) if many else (kinds[:, : value.shape[1]], kinds[:, value.shape[1] :])
    balanced = bool((count == count[0]).all())
    drawn = np.empty((draws, value.shape[1]))
    step = max(1, BLOCK // len(value))
    for start in range(0, draws, step):
        size = min(step, draws - start)
        weight_BN = _item_weights(n, size, rng) if many else rng.multinomial(n, number / n, size=size).astype(float)
        drawn[start : start + size] = weight_BN @ value / (n * count[0] if balanced else weight_BN @ count)
    return drawn


def _item_weights(n: int, draws: int, rng: np.random.Generator) -> Array:
    """How often each of n items is drawn, draws x n."""
    picks = rng.integers(0, n, size=(draws, n), dtype=np.int64) + np.arange(draws)[:, None] * n
    return np.bincount(picks.ravel(), minlength=draws * n).reshape(draws, n).astype(float)


def _drawn_prompts(sums: Sums, means_K: Array, draws: int, rng: np.random.Generator) -> Array:
    """What other prompts would have changed: Student draws, since two to six prompts drawn again never leave their range."""
    prompts = sums.value_IPK.shape[1]
    if prompts < 2:
        return np.zeros((draws, len(means_K)))
    effect_PK = prompt_effects(sums, means_K)
    spread_B1 = np.sqrt(rng.chisquare(prompts - 1, size=(draws, 1)) / (prompts - 1))
    return rng.standard_normal((draws, prompts)) / spread_B1 @ effect_PK / prompts


def prompt_effects(sums: Sums, means_K: Array, level: float = 0.05) -> Array:
    """Deviation of each prompt from the mean, shrunk to the spread that item noise leaves over; 0 below the F test."""
    prompts = sums.value_IPK.shape[1]
    count_PK = sums.count_IPK.sum(0)
    mean_PK = np.divide(sums.value_IPK.sum(0), count_PK, out=np.zeros(count_PK.shape), where=count_PK > 0)
    cell_IPK = np.divide(sums.value_IPK, sums.count_IPK, out=np.full(sums.count_IPK.shape, np.nan), where=sums.count_IPK > 0)
    whole_IK = np.isfinite(cell_IPK).all(1)
    crossed_K = whole_IK.sum(0)
    row_IK = cell_IPK.mean(1)
    rest_IPK = np.where(whole_IK[:, None], cell_IPK - row_IK[:, None] - mean_PK + means_K, 0.0)
    freedom_K = np.maximum((crossed_K - 1) * (prompts - 1), 1)
    noise_K = (rest_IPK**2).sum((0, 1)) / freedom_K / np.maximum(crossed_K, 1)
    spread_K = mean_PK.var(0, ddof=1)
    ratio_K = np.divide(spread_K, noise_K, out=np.zeros(len(spread_K)), where=noise_K > 0)
    real_K = (crossed_K > 1) & (stats.f.sf(ratio_K, prompts - 1, freedom_K) < level)
    kept_K = np.where(real_K, np.sqrt(np.maximum(0.0, 1 - 1 / np.maximum(ratio_K, 1)) * prompts / (prompts - 1)), 0.0)
    return np.nan_to_num((mean_PK - means_K) * kept_K)
