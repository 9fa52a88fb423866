"""Exact tests, odds, equivalence and power for paired verdicts; corrections for many tests at once.

If two conditions do the same, their labels can be exchanged within an item. So each item's total of differences keeps its
size and tosses a coin for its sign; for each size the number of heads is binomial. Where every item is asked once this is
McNemar's exact test (1947, Psychometrika 12:153). With repeats of an item it is the extension to clusters: McNemar's own
test takes repeats for new items and rejects too often. With few disagreements an exact test stays below its level; the
score test comes close to it (Fagerland, Lydersen and Laake 2013, BMC Medical Research Methodology 13:91), but sometimes
exceeds it a little.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import fdrcorrection, multipletests

from fmtbench.analysis.statistics.cube import Array

POWER, LEVEL, MARGIN = 0.8, 0.05, 0.02


class SignTest(NamedTuple):
    p: float
    """Two-sided and exact: it never rejects more often than its level."""
    p_score: float
    """From the normal approximation without continuity correction: closest to its level. Where every item is asked once,
    McNemar's chi-squared; with repeats, that of Durkalski et al. 2003 (Statistics in Medicine 22:2417)."""


def sign_test(total_I: Array) -> SignTest:
    """`total_I`: whole numbers, for each item the sum of its differences. All zero gives p = 1."""
    size, number = np.unique(np.abs(total_I[total_I != 0]).round().astype(int), return_counts=True)
    distribution: Array = np.ones(1)
    for one, many in zip(size, number):
        heads = np.zeros(2 * one * many + 1)
        heads[:: 2 * one] = stats.binom.pmf(np.arange(many + 1), many, 0.5)
        distribution = np.convolve(distribution, heads).astype(np.float64)
    centre = len(distribution) // 2
    seen = abs(round(float(total_I.sum())))
    away = np.abs(np.arange(len(distribution)) - centre)
    p = float(distribution[away >= seen].sum())
    return SignTest(min(1.0, p), score_test(total_I))


def score_test(total_I: Array) -> float:
    """Two-sided p of the items' totals; 1 where all are zero."""
    square_sum = float((total_I**2).sum())
    return float(stats.chi2.sf(float(total_I.sum()) ** 2 / square_sum, 1)) if square_sum else 1.0


def odds_ratio(only_ours: float, only_reference: float) -> tuple[float, float, float]:
    """Conditional odds ratio of being right, with its exact 95% interval (Clopper and Pearson on the discordant pairs)."""
    both = only_ours + only_reference
    if both == 0:
        return float("nan"), 0.0, float("inf")
    low = stats.beta.ppf(0.025, only_ours, only_reference + 1) if only_ours else 0.0
    high = stats.beta.ppf(0.975, only_ours + 1, only_reference) if only_reference else 1.0
    ratio = only_ours / only_reference if only_reference else float("inf")
    return ratio, low / (1 - low), high / (1 - high) if high < 1 else float("inf")


def detectable(square_sum: float, items: int, power: float = POWER, level: float = LEVEL) -> float:
    """The smallest true difference that a two-sided paired test of this size finds with this power.

    `square_sum`: sum over items of the squared mean difference, which is the number of discordant items where each was
    asked once. Where none disagrees, three are assumed: the 95% upper bound (rule of three). Connett, Smith and McHugh 1987.
    """
    if items == 0:
        return float("nan")
    rate = (square_sum or min(3.0, float(items))) / items
    quantiles = stats.norm.ppf(1 - level / 2) + stats.norm.ppf(power)
    return float(min(1.0, quantiles * np.sqrt(rate / items)))


def adjust(p: Array, planned: Array) -> Array:
    """Holm's step-down over the planned tests (family-wise error), Benjamini and Hochberg over the rest (false discoveries).

    NaN where there was no test; such a line counts in neither family.
    """
    adjusted = np.full(len(p), np.nan)
    tested = np.isfinite(p)
    first, rest = tested & planned.astype(bool), tested & ~planned.astype(bool)
    if first.any():
        adjusted[first] = multipletests(p[first], method="holm")[1]
    if rest.any():
        adjusted[rest] = fdrcorrection(p[rest])[1]  # multipletests would collect garbage first, which costs more than all else
    return adjusted
