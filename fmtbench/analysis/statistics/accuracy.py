"""Accuracies with intervals; the item is the unit, however often it was asked. Differences: see `bootstrap`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from statsmodels.stats.proportion import proportion_confint

Array = npt.NDArray[np.float64]


class Estimate(NamedTuple):
    """A value with its 95% interval."""

    value: float
    low: float
    high: float


def accuracy(means: Array, level: float = 0.95) -> Estimate:
    """Mean of per-item accuracies (N values in 0..1), with the Wilson score interval for N trials.

    Repeats of an item are averaged first, so that they do not narrow the interval as new items would.
    """
    low, high = proportion_confint(means.sum(), len(means), alpha=1 - level, method="wilson")
    return Estimate(float(means.mean()), float(low), float(high))


def item_means(score_U: Array, item_U: npt.NDArray[np.int64]) -> Array:
    """Mean score of each item that was asked."""
    items, index = np.unique(item_U, return_inverse=True)
    return np.bincount(index, weights=score_U, minlength=len(items)) / np.bincount(index, minlength=len(items))
