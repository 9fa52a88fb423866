"""The cluster bootstrap over items, for many statistics at once: intervals for the prompts that were asked.

Items are drawn with replacement and keep all their prompts and samples (Davison and Hinkley 1997, section 3.8: only the
outermost of nested levels is resampled, since resampling both counts the inner noise twice). What other prompts would change
is a separate question, with an interval of its own: see `prompts`.

An interval depends only on its own statistic, not on the sign or on the statistics drawn along with it, so the same difference
has the same interval in every table.

A percentile interval is too short for a few disagreeing pairs, and has zero width for none. So a pair of imaginary items joins
the draws, one half a point for and one half a point against (following Bonett and Price 2012, Statistics in Medicine 31:3729,
who add one item each way; half of that comes closest to the nominal level in `experiments.simulate`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from fmtbench.analysis.statistics.cube import Array, Index, Sums

DRAWS = 10_000
FEWER_DRAWS = 2_000
"""For tables that draw again for each condition."""
MOST_PICKS = 100_000_000
"""10 000 draws of 10 000 items; larger studies get fewer draws, but at least 1000."""
FEW_KINDS = 4
SEED = 0
BLOCK = 4_000_000
IMAGINED = np.sqrt(0.5)
ROUNDING = 1e-12


class Draws(NamedTuple):
    """K means, and B bootstrap draws of each."""

    means_K: Array
    draws_BK: Array

    def interval(
        self, level: float = 0.95, bounds: tuple[float | Array, float | Array] = (-np.inf, np.inf)
    ) -> tuple[Array, Array]:
        """Percentile intervals, clipped to `bounds`; NaN where fewer than half of the draws are defined."""
        ends = [(1 - level) / 2, (1 + level) / 2]
        columns = self.draws_BK.T
        whole = [column[np.isfinite(column)] for column in columns]
        enough = [2 * len(some) >= len(column) for some, column in zip(whole, columns)]
        low, high = np.transpose([np.quantile(some, ends) if ok else (np.nan, np.nan) for some, ok in zip(whole, enough)])
        return low.clip(*bounds), high.clip(*bounds)


def bootstrap(
    sums: Sums,
    draws: int = DRAWS,
    seed: int = SEED,
    constant_K: Array | None = None,
    rates: bool = False,
    together: bool = False,
) -> Draws:
    """Bootstrap draws of K means.

    `together` draws the same items for all K, for statistics that combine several of them; otherwise each is drawn on its
    own, which is faster. `constant_K` marks statistics that get no imaginary items, such as those that are zero by definition,
    whose interval has zero width. With `rates` (0..1) the imaginary items are one success and one failure.
    """
    means_K = sums.means()
    sign_K = _signs(sums, means_K)
    sums = Sums(sums.value_IPK * sign_K + 0.0, sums.count_IPK)  # no negative zeros
    draws = min(draws, max(1000, MOST_PICKS // max(1, len(sums.value_IPK))))
    value, count = _with_imagined(sums, constant_K, rates)
    drawn_BK = np.empty((draws, len(means_K)))
    with np.errstate(invalid="ignore", divide="ignore"):
        for some in [slice(None)] if together else [slice(k, k + 1) for k in range(len(means_K))]:
            drawn_BK[:, some] = _drawn_items(value[:, some], count[:, some], draws, seed)
    if not rates:
        equal_K = (np.abs(sums.value_IPK) <= ROUNDING).all(axis=(0, 1))  # all zero: its own mirror image, so a symmetric interval
        drawn_BK[draws // 2 : 2 * (draws // 2), equal_K] = -drawn_BK[: draws // 2, equal_K]
    return Draws(means_K, drawn_BK * sign_K)


def variances(sums: Sums) -> Array:
    """First-order variances of the draws of the K means, imaginary items included; never 0 where items were asked."""
    value_IK, count_IK = _with_imagined(sums, None, rates=False)
    whole_K = count_IK.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(((value_IK - count_IK * (value_IK.sum(axis=0) / whole_K)) ** 2).sum(axis=0) / whole_K**2)


def _signs(sums: Sums, means_K: Array) -> Array:
    """-1 where the mirror image is drawn instead: where the mean is negative, or is zero and its first difference is negative."""
    value_NK = sums.value_IPK.reshape(-1, len(means_K))
    first_K = value_NK[(np.abs(value_NK) > ROUNDING).argmax(axis=0), np.arange(len(means_K))]
    return np.where(np.where(np.abs(means_K) > ROUNDING, means_K, first_K) < 0, -1.0, 1.0)


def _with_imagined(sums: Sums, constant_K: Array | None, rates: bool) -> tuple[Array, Array]:
    """Values and counts, items x K, with the two imaginary items last."""
    value_IK, count_IK = sums.value_IPK.sum(1), sums.count_IPK.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        per_item_K = count_IK.sum(0) / np.maximum((count_IK > 0).sum(0), 1)
        size_K = per_item_K if rates else _imagined(sums)
    added = np.vstack([size_K, np.zeros_like(size_K) if rates else -size_K, per_item_K, per_item_K])
    added[:, np.zeros(value_IK.shape[1], bool) if constant_K is None else constant_K] = 0.0
    return np.vstack([value_IK, added[:2]]), np.vstack([count_IK, added[2:]])


def _imagined(sums: Sums) -> Array:
    """Size of the imaginary items in units of sums: one independent measurement of an item (design effect)."""
    count_IK = sums.count_IPK.sum(1)
    per_item_K = count_IK.sum(0) / np.maximum((count_IK > 0).sum(0), 1)
    mean_IK = np.divide(sums.value_IPK.sum(1), count_IK, out=np.zeros(count_IK.shape), where=count_IK > 0)
    mean_IPK = np.divide(sums.value_IPK, sums.count_IPK, out=np.zeros(sums.count_IPK.shape), where=sums.count_IPK > 0)
    cells_K = (sums.count_IPK > 0).sum((0, 1)) / np.maximum((count_IK > 0).sum(0), 1)
    square_K = _column_sums(mean_IPK**2) / np.maximum(cells_K, 1)
    effect_K = np.divide(_column_sums(mean_IK**2), square_K, out=np.ones(len(square_K)), where=square_K > 0)
    return IMAGINED * per_item_K * np.clip(effect_K, 0, 1)


def _column_sums(values: Array) -> Array:
    """Sums over all but the last axis, bit for bit the same whatever columns stand beside each: a statistic that several tables
    show then has the same imaginary items in all of them, and is drawn once."""
    columns = np.ascontiguousarray(np.moveaxis(values, -1, 0)).reshape(values.shape[-1], -1)
    return np.asarray(columns.sum(axis=1))


def _drawn_items(value: Array, count: Array, draws: int, seed: int) -> Array:
    """Draws of K means from `value` and `count`, items (the imaginary ones last) x K.

    Items that agree in all K need not be drawn one by one: the number drawn of each distinct kind is multinomial.
    """
    asked = (count > 0).any(axis=1)
    value, count = value[asked], count[asked]
    if not len(value):
        return np.full((draws, value.shape[1]), np.nan)
    kinds, number = _kinds(value, count)
    if len(kinds) * FEW_KINDS <= len(value):
        return _drawn_kinds(kinds.tobytes(), number.tobytes(), kinds.shape, draws, seed)
    rng = np.random.default_rng(seed)
    drawn = np.empty((draws, value.shape[1]))
    step = max(1, BLOCK // len(value))
    for start in range(0, draws, step):
        size = min(step, draws - start)
        drawn[start : start + size] = _ratio(_item_weights(len(value), size, rng), value, count)
    return drawn


def _kinds(value: Array, count: Array) -> tuple[Array, Index]:
    """The distinct rows of values and counts, sorted, and how many there are of each. Complex numbers sort as pairs, and do so
    much faster than rows."""
    if value.shape[1] > 1:
        return np.unique(np.hstack([value, count]), axis=0, return_counts=True)
    pairs, number = np.unique(value[:, 0] + 1j * count[:, 0], return_counts=True)
    return np.column_stack([pairs.real, pairs.imag]), number


@lru_cache(maxsize=1024)
def _drawn_kinds(kinds: bytes, number: bytes, shape: tuple[int, int], draws: int, seed: int) -> Array:
    """Draws from kinds (value, then count) x 2K. Cached, since several tables show the same difference."""
    kinds_N2K, number_N = np.frombuffer(kinds).reshape(shape), np.frombuffer(number, dtype=np.int64)
    value, count = np.hsplit(kinds_N2K, 2)
    if len(value) == 1:
        return np.repeat(value / count, draws, axis=0)
    n = int(number_N.sum())
    weight_BN = np.random.default_rng(seed).multinomial(n, number_N / n, size=draws).astype(float)
    return _ratio(weight_BN, value, count)


def _ratio(weight_BN: Array, value: Array, count: Array) -> Array:
    if (count == count[0]).all():
        return weight_BN @ value / (weight_BN[0].sum() * count[0])
    return weight_BN @ value / (weight_BN @ count)


def _item_weights(n: int, draws: int, rng: np.random.Generator) -> Array:
    """How often each of n items is drawn: draws x n."""
    picks = rng.integers(0, n, size=(draws, n), dtype=np.int64) + np.arange(draws)[:, None] * n
    return np.bincount(picks.ravel(), minlength=draws * n).reshape(draws, n).astype(float)
