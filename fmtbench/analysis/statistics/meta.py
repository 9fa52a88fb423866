"""Random-effects meta-analysis: how much studies differ beyond their own errors, and what a further study would show.

The variance between studies, tau^2, is Paule and Mandel's (1982, Journal of Research of the National Bureau of Standards
87:377): the one at which the weighted squared residuals sum to their degrees of freedom. Intervals are Hartung and Knapp's
(2001, Statistics in Medicine 20:3875), with t quantiles, which keep their level with few studies; the prediction interval is
that of Higgins, Thompson and Spiegelhalter (2009, Journal of the Royal Statistical Society A 172:137).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import optimize, special

from fmtbench.analysis.statistics.cube import Array

FEWEST_PREDICTED, FEWEST_MODERATED = 3, 5
"""The fewest studies for a prediction interval, and for a moderator."""


class Pooled(NamedTuple):
    """A pooled difference of `studies` studies; NaN where there are too few."""

    studies: int
    mean: float
    low: float
    high: float
    prediction_low: float
    """The 95% prediction interval: where the difference in a further study like these would lie."""
    prediction_high: float
    tau: float
    i2: float
    """Share of the variance of the differences that is not the studies' own error."""


class Slope(NamedTuple):
    """Change of a difference with a moderator, with its 95% interval; NaN with too few studies."""

    value: float
    low: float
    high: float


def pool(y_S: Array, variance_S: Array, level: float = 0.95) -> Pooled:
    """Pools S differences, given the variances of their errors, which are above 0. With one study every estimate is NaN."""
    studies, nothing = len(y_S), float("nan")
    if studies < 2:
        return Pooled(studies, *[nothing] * 7)
    ones = np.ones((studies, 1))
    tau2 = paule_mandel(y_S, variance_S, ones)
    (mean,), ((square,),) = _weighted(y_S, variance_S + tau2, ones)
    half = _quantile(studies - 1, level) * np.sqrt(square)
    common = float(1 / (1 / (variance_S + tau2)).sum())
    reach = nothing
    if studies >= FEWEST_PREDICTED:
        reach = _quantile(studies - 2, level) * np.sqrt(tau2 + max(common, float(square)))
    return Pooled(
        studies, mean, mean - half, mean + half, mean - reach, mean + reach, float(np.sqrt(tau2)), i_squared(y_S, variance_S)
    )


def moderated(y_S: Array, variance_S: Array, moderator_S: Array, level: float = 0.95) -> Slope:
    """Meta-regression on one moderator, with the residual spread between studies."""
    studies = len(y_S)
    if studies < FEWEST_MODERATED or np.ptp(moderator_S) < 1e-12:
        return Slope(*[float("nan")] * 3)
    design = np.column_stack([np.ones(studies), moderator_S - moderator_S.mean()])
    beta, covariance = _weighted(y_S, variance_S + paule_mandel(y_S, variance_S, design), design)
    half = _quantile(studies - 2, level) * np.sqrt(covariance[1, 1])
    return Slope(float(beta[1]), float(beta[1] - half), float(beta[1] + half))


def paule_mandel(y_S: Array, variance_S: Array, design_SB: Array) -> float:
    """tau^2 given a design of studies x coefficients; 0 where the studies differ no more than their errors."""
    freedom = len(y_S) - design_SB.shape[1]

    def excess(tau2: float) -> float:
        return _squares(y_S, variance_S + tau2, design_SB) - freedom

    if excess(0.0) <= 0:
        return 0.0
    most = float(np.ptp(y_S)) ** 2 * len(y_S) + float(variance_S.max())
    return float(optimize.brentq(excess, 0.0, most, xtol=1e-16, rtol=1e-14))


def i_squared(y_S: Array, variance_S: Array) -> float:
    """I^2 of Higgins and Thompson 2002 (Statistics in Medicine 21:1539), from Cochran's Q."""
    squares = _squares(y_S, variance_S, np.ones((len(y_S), 1)))
    return float(max(0.0, (squares - (len(y_S) - 1)) / squares)) if squares > 0 else 0.0


def _squares(y_S: Array, variance_S: Array, design_SB: Array) -> float:
    root_S = np.sqrt(1 / variance_S)
    beta = np.linalg.lstsq(design_SB * root_S[:, None], y_S * root_S, rcond=None)[0]
    return float((((y_S - design_SB @ beta) * root_S) ** 2).sum())


def _weighted(y_S: Array, variance_S: Array, design_SB: Array) -> tuple[Array, Array]:
    """Weighted least squares, and the covariance of its coefficients scaled by the residuals (Hartung and Knapp)."""
    inverse = np.linalg.inv(design_SB.T @ (design_SB / variance_S[:, None]))
    beta = inverse @ design_SB.T @ (y_S / variance_S)
    freedom = len(y_S) - design_SB.shape[1]
    return beta, inverse * (((y_S - design_SB @ beta) ** 2 / variance_S).sum() / freedom)


def _quantile(freedom: int, level: float) -> float:
    return float(special.stdtrit(freedom, (1 + level) / 2))
