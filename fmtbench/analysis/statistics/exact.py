"""Tests of paired verdicts, odds, equivalence and power; corrections for many tests at once.

If two conditions do the same, their labels can be exchanged within an item. So each item's total of differences keeps its
size and its sign is a coin toss; for each size the number of heads is binomial. Where every item is asked once this is
McNemar's exact test (1947, Psychometrika 12:153). With repeats of an item it is the extension to clusters, where McNemar's own
test treats repeats as new items and rejects too often. With few disagreements an exact test is conservative, so half the
probability of the observed outcome is subtracted: this mid-p comes close to the nominal level and hardly ever exceeds it
(Fagerland, Lydersen and Laake 2013, BMC Medical Research Methodology 13:91). Where one side has more samples of an item than the
other, labels are not exactly exchangeable; the test then keeps its level because the signs' variance is that of the totals.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import fdrcorrection, multipletests

from fmtbench.analysis.statistics.cube import Array

POWER, LEVEL, MARGIN = 0.8, 0.05, 0.02


MOST_PARTS = 120
"""Totals that are not multiples of a fraction with a denominator up to this are rounded to this one."""
ROUNDING = 1e-9
"""How far apart averages of equal numbers may come out."""
LONGEST = 100_000
"""Points of an exact distribution; beyond them the score test is used instead, which then agrees to the third digit."""


class SignTest(NamedTuple):
    p: float
    """Two-sided and exact: it never rejects more often than its level."""
    p_mid: float
    """The same less half the probability of the observed outcome: closest to its level."""
    p_score: float
    """From the normal approximation without continuity correction. Where every item is asked once, McNemar's chi-squared;
    with repeats, that of Durkalski et al. 2003 (Statistics in Medicine 22:2417)."""


def sign_test(total_I: Array) -> SignTest:
    """`total_I`: for each item the sum of its differences. All zero gives p = 1."""
    total_I = _whole(total_I[np.abs(total_I) > ROUNDING])
    score = score_test(total_I)
    if not len(total_I):
        return SignTest(1.0, 1.0, 1.0)
    if np.abs(total_I).sum() > LONGEST / 2:
        return SignTest(score, score, score)
    distribution = _sign_distribution(*np.unique(np.abs(total_I), return_counts=True))
    away = np.abs(np.arange(len(distribution)) - len(distribution) // 2)
    seen = abs(int(total_I.sum()))
    p = min(1.0, float(distribution[away >= seen].sum()))
    return SignTest(p, p - float(distribution[away == seen].sum()) / 2, score)


def _whole(total_I: Array) -> Any:
    """The totals times the smallest number that makes them whole, divided by their greatest common divisor."""
    for parts in range(1, MOST_PARTS + 1):
        whole_I = (total_I * parts).round()
        if np.abs(whole_I - total_I * parts).max(initial=0) < 1e-6:
            break
    whole_I = whole_I.astype(np.int64)
    whole_I = whole_I[whole_I != 0]
    return whole_I // int(np.gcd.reduce(whole_I)) if len(whole_I) else whole_I


def _sign_distribution(size_K: Any, number_K: Any) -> Array:
    """Distribution of the sum of `number_K` items of each size with random signs, from the smallest sum to the largest."""
    distribution: Array = np.ones(1)
    for size, number in zip(size_K, number_K):
        heads = np.zeros(2 * size * number + 1)
        heads[:: 2 * size] = stats.binom.pmf(np.arange(number + 1), number, 0.5)
        distribution = np.convolve(distribution, heads).astype(np.float64)
    return distribution


def score_test(total_I: Array) -> float:
    """Two-sided p of the items' totals; 1 where all are zero."""
    square_sum = float((total_I**2).sum())
    return float(stats.chi2.sf(float(total_I.sum()) ** 2 / square_sum, 1)) if square_sum else 1.0


def odds_ratio(only_ours: float, only_reference: float) -> tuple[float, float, float]:
    """Conditional odds ratio of being right, with its exact 95% interval (Clopper and Pearson on the discordant pairs).

    The numbers of pairs need not be whole: repeats of an item are worth fewer pairs than their number.
    """
    both = only_ours + only_reference
    if both == 0:
        return float("nan"), 0.0, float("inf")
    low = stats.beta.ppf(0.025, only_ours, only_reference + 1) if only_ours else 0.0
    high = stats.beta.ppf(0.975, only_ours + 1, only_reference) if only_reference else 1.0
    ratio = only_ours / only_reference if only_reference else float("inf")
    return ratio, low / (1 - low), high / (1 - high) if high < 1 else float("inf")


def detectable(square_sum: float, items: int, power: float = POWER, level: float = LEVEL) -> float:
    """The smallest true difference that a two-sided paired test of this size detects with this power.

    `square_sum`: sum over items of the squared mean difference, which is the number of discordant items where each was
    asked once. Where none disagree, three are assumed: the 95% upper bound (rule of three). Connett, Smith and McHugh 1987.
    """
    if items == 0:
        return float("nan")
    rate = (square_sum or min(3.0, float(items))) / items
    quantiles = stats.norm.ppf(1 - level / 2) + stats.norm.ppf(power)
    return float(min(1.0, quantiles * np.sqrt(rate / items)))


def adjust(p: Array, planned: Array, family: Any = None) -> Array:
    """Holm's step-down over the planned tests (family-wise error), Benjamini-Hochberg over the others (false discovery rate).

    `family`: a label for each test; tests with the same label are corrected together; by default all are. NaN where there was
    no test, which counts in no family.
    """
    adjusted = np.full(len(p), np.nan)
    labels = np.zeros(len(p), int) if family is None else np.asarray(family)
    for label in np.unique(labels):
        tested = np.isfinite(p) & (labels == label)
        first, rest = tested & planned.astype(bool), tested & ~planned.astype(bool)
        if first.any():
            adjusted[first] = multipletests(p[first], method="holm")[1]
        if rest.any():
            adjusted[rest] = fdrcorrection(p[rest])[1]  # multipletests would collect garbage first, the costliest part
    return adjusted
