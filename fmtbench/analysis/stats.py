"""Intervals for accuracies and for paired differences; the item is the unit, however often it was asked."""

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

    Repeats of an item are averaged before, so that they do not narrow the interval as if they were new items.
    """
    low, high = proportion_confint(means.sum(), len(means), alpha=1 - level, method="wilson")
    return Estimate(float(means.mean()), float(low), float(high))


def paired_difference(ours: Array, base: Array, level: float = 0.95, draws: int = 10_000, seed: int = 0) -> Estimate:
    """Mean of `ours - base` over the same N items, with a paired interval.

    Where every item was asked once, Newcombe's square-and-add interval (1998, Statistics in Medicine 17:2635, method 10),
    which stays honest when few or no items disagree; else a percentile bootstrap over items.
    """
    assert ours.shape == base.shape, "paired values must belong to the same items"
    difference = float(np.mean(ours - base))
    if np.isin(ours, (0, 1)).all() and np.isin(base, (0, 1)).all():
        return Estimate(difference, *_newcombe(ours, base, level))
    values, counts = np.unique(ours - base, return_counts=True)  # few: drawing how often each occurs is drawing items
    drawn = np.random.default_rng(seed).multinomial(len(ours), counts / len(ours), size=draws)
    low, high = np.quantile(drawn @ values / len(ours), [(1 - level) / 2, (1 + level) / 2])
    return Estimate(difference, float(low), float(high))


def _newcombe(ours: Array, base: Array, level: float) -> tuple[float, float]:
    one, other = accuracy(ours, level), accuracy(base, level)
    phi = _phi(ours, base)
    down, up = one.value - one.low, one.high - one.value
    base_down, base_up = other.value - other.low, other.high - other.value
    below = np.sqrt(max(0.0, down**2 - 2 * phi * down * base_up + base_up**2))
    above = np.sqrt(max(0.0, up**2 - 2 * phi * up * base_down + base_down**2))
    difference = one.value - other.value
    return float(max(-1.0, difference - below)), float(min(1.0, difference + above))


def _phi(ours: Array, base: Array) -> float:
    """Correlation of the two verdicts, with Newcombe's continuity correction where it is positive."""
    n = len(ours)
    both, neither = float(np.sum(ours * base)), float(np.sum((1 - ours) * (1 - base)))
    only_ours, only_base = float(np.sum(ours * (1 - base))), float(np.sum((1 - ours) * base))
    margins = (both + only_ours) * (only_base + neither) * (both + only_base) * (only_ours + neither)
    if margins == 0:
        return 0.0
    cross = both * neither - only_ours * only_base
    return (cross if cross < 0 else max(0.0, cross - n / 2)) / float(np.sqrt(margins))
