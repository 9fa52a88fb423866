"""Accuracies with intervals; the item is the unit, however often it was asked. For differences, see `bootstrap`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from statsmodels.stats.proportion import proportion_confint

from fmtbench.analysis.statistics.cube import Array, Cube, average, cell_index

Index = npt.NDArray[np.int64]


class Estimate(NamedTuple):
    """A value with its 95% interval."""

    value: float
    low: float
    high: float


def accuracy(score_U: Array, item_U: Index | None = None, trials: int | None = None, level: float = 0.95) -> Estimate:
    """Mean of U scores (0..1) with the Wilson score interval for as many trials as the scores are worth.

    `item_U`: the item that each score belongs to; by default each score is an item of its own. `trials`: how many verdicts the
    scores average, by default one each. Repeats of an item resemble each other, so they are worth fewer trials than their
    number, and more than the number of items: the effective number is p (1 - p) / Var(mean), with the variance over items (Korn
    and Graubard 1998, Survey Methodology 24:193). Where all scores are 0 or all are 1, it is the number of items.
    """
    if item_U is None:
        item_U = np.arange(len(score_U))
    value = float(score_U.mean())
    number = effective_trials(score_U, item_U, trials or len(score_U))
    low, high = proportion_confint(value * number, number, alpha=1 - level, method="wilson")
    return Estimate(value, min(float(low), value), max(float(high), value))


def effective_trials(score_U: Array, item_U: Index, trials: int) -> float:
    """How many independent trials would give the mean the variance it has; at most `trials`."""
    items, index = np.unique(item_U, return_inverse=True)
    count_I = np.bincount(index)
    if trials == len(items):
        return float(trials)
    apart_I = np.bincount(index, weights=score_U - score_U.mean())
    variance, binomial = float((apart_I**2).sum()) / count_I.sum() ** 2, float(score_U.mean() * (1 - score_U.mean()))
    if binomial <= 0:
        return float(len(items))
    return float(min(trials, binomial / variance)) if variance * trials > binomial else float(trials)


def condition_accuracy(one: Cube, condition: str, reading: str = "strict", units: Index | None = None) -> Estimate:
    """Accuracy of one condition over its items and prompts, samples averaged: the mean that the contrasts subtract.

    `units`: which units of the cube count; by default all of them.
    """
    score_U = one.scores(reading)[one.at(condition)]
    score_U = score_U if units is None else np.where(units, score_U, np.nan)
    _, first = cell_index(one)
    (mean_U,) = average(score_U[None], one)
    there = np.isfinite(mean_U)
    return accuracy(mean_U[there], one.item_U[first][there], int(np.isfinite(score_U).sum()))
