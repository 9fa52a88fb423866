"""Per-reply sums, such as the tax, over items: means per reply with bootstrap intervals, and paired differences."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from fmtbench.analysis.statistics.bootstrap import bootstrap
from fmtbench.analysis.statistics.cube import Array, Sums


class Interval(NamedTuple):
    """A mean with its 95% interval; NaN where nothing was measured, and no interval for a single item."""

    value: float
    low: float
    high: float


NOTHING = Interval(np.nan, np.nan, np.nan)


def mean_of_ratio(value_I: Array, count_I: Array, draws: int, seed: int) -> Interval:
    """Sum of the values over the sum of the counts, bootstrapped over items. No imaginary items, because a tax is not a rate."""
    asked = count_I > 0
    value_I, count_I = value_I[asked], count_I[asked]
    if not len(value_I):
        return NOTHING
    if len(value_I) == 1:
        return Interval(float(value_I[0] / count_I[0]), np.nan, np.nan)
    found = bootstrap(Sums(value_I[:, None, None], count_I[:, None, None]), draws, seed, np.ones(1, bool))
    low, high = found.interval()
    return Interval(*(float(end[0]) + 0.0 for end in (found.means_K, low, high)))  # no negative zeros


def paired_difference(one: pd.Series, other: pd.Series, draws: int, seed: int) -> Interval:
    """Difference of two series of item means, indexed by item, over the items in both."""
    both = pd.concat([one, other], axis=1, join="inner").dropna()
    difference_I = (both.iloc[:, 0] - both.iloc[:, 1]).to_numpy(dtype=float)
    return mean_of_ratio(difference_I, np.ones_like(difference_I), draws, seed)


def within_items(values: pd.Series, marked: pd.Series, items: pd.Series) -> tuple[float, float, int]:
    """Mean difference of `values` between the marked and the unmarked replies of an item, its standard error over items, and how
    many items have both. Differences between items, such as their difficulty, cancel."""
    means = values.astype(float).groupby([items, marked.astype(bool)], observed=True).mean().unstack()
    if means.shape[1] < 2:
        return np.nan, np.nan, 0
    found = (means[True] - means[False]).dropna()
    error = found.std(ddof=1) / len(found) ** 0.5 if len(found) > 1 else np.nan
    return float(found.mean()) if len(found) else np.nan, float(error), len(found)
