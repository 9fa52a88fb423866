"""How many items, prompts and samples detect a difference of a given size, and what difference a given size detects.

For these prompts a difference is detected where the test in the contrasts table rejects: the error of a mean difference is
normal with the variance of `components`. For prompts like these it is detected where that interval excludes zero. How wide the
interval is, the study learns from its own prompts and conditions (see `prompts`): with few of them it stays wide even where no
prompt matters. So power is a mean over what the study may learn, for each spread of prompts that the pilot leaves possible.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy import optimize, special

from fmtbench.analysis.statistics.components import NONE_DISAGREE, Components
from fmtbench.analysis.statistics.cube import Array
from fmtbench.analysis.statistics.exact import LEVEL, POWER
from fmtbench.analysis.statistics.prompts import GRID, PRIOR_SD, Spread, log_prior

FEWEST_ITEMS = 30
"""With fewer, neither interval keeps its level."""
MOST_ITEMS = 10_000_000
PROMPTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
SAMPLES = (1, 2, 4, 8, 16)
CHANCES = (np.arange(8) + 0.5) / 8
"""Quantiles at which the unknowns are evaluated: the spread of prompts, and the mean square that a study finds."""


class Size(NamedTuple):
    items: int
    prompts: int
    samples: int

    @property
    def requests(self) -> int:
        """Of one condition."""
        return self.items * self.prompts * self.samples


class Errors(NamedTuple):
    """H equally likely studies: for each, the true error of a mean difference and the error that it estimates."""

    sd_H: Array
    edge_H: Array
    """Half the width of its interval."""

    def power(self, delta: float) -> float:
        ahead, behind = special.ndtr((delta - self.edge_H) / self.sd_H), special.ndtr((-self.edge_H - delta) / self.sd_H)
        return float((ahead + behind).mean())


def power(delta: float, known: Components, size: Size, conditions: int | None = None) -> float:
    """Power to detect a true difference `delta` (a share) for these prompts; or, given the number of the study's `conditions`,
    for prompts like these, which is 0 with one prompt."""
    found = errors(known, size, conditions)
    return 0.0 if found is None else found.power(delta)


def smallest(known: Components, size: Size, conditions: int | None = None) -> float:
    """The smallest difference detected with a power of 0.8, at most 1; NaN for prompts like these with one prompt."""
    found = errors(known, size, conditions)
    return float("nan") if found is None else smallest_of(found)


def smallest_of(found: Errors, goal: float = POWER) -> float:
    if found.power(1.0) < goal:
        return 1.0
    return float(optimize.brentq(lambda delta: found.power(delta) - goal, 0.0, 1.0, xtol=1e-9))


def detectable_elsewhere(square_sum: float, items: int, spread: Spread, prompts: int) -> float:
    """`exact.detectable`, but for prompts like these: the smallest difference at which a study that knows this much about its
    prompts has an interval that excludes zero, four times in five. NaN with one prompt."""
    if items == 0 or min(prompts, spread.prompts) < 2:
        return float("nan")
    variance = (square_sum or min(NONE_DISAGREE, float(items))) / items**2
    sd_H = np.sqrt(variance + np.asarray(spread.quantile(*CHANCES)) ** 2 / prompts)
    edge_H = edges(np.sqrt(variance + GRID**2 / prompts), spread.weight_G[None])
    return smallest_of(Errors(sd_H, np.repeat(edge_H, len(sd_H))))


def items_for(delta: float, known: Components, prompts: int, samples: int, conditions: int | None = None) -> int | None:
    """The fewest items that detect `delta` with a power of 0.8; None where no number does, because prompts alone hide it."""

    def enough(items: int) -> bool:
        return power(delta, known, Size(items, prompts, samples), conditions) >= POWER

    low, high = 1, FEWEST_ITEMS
    while not enough(high):
        low, high = high, 2 * high
        if high > MOST_ITEMS:
            return None
    while high > FEWEST_ITEMS and high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def cheapest(
    delta: float,
    known: Components,
    most_items: int,
    conditions: int | None = None,
    prompts: Iterable[int] = PROMPTS,
    samples: Iterable[int] = SAMPLES,
) -> Size | None:
    """The size with the fewest requests that detects `delta` with a power of 0.8; None if none does within `most_items`."""
    best: Size | None = None
    for many, each in product(prompts, samples):
        dearer = best is not None and FEWEST_ITEMS * many * each >= best.requests
        if dearer or (each > 1 and np.isnan(known.sampling)):
            continue
        if power(delta, known, Size(most_items, many, each), conditions) < POWER:
            continue
        items = items_for(delta, known, many, each, conditions)
        if items and (best is None or items * many * each < best.requests):
            best = Size(items, many, each)
    return best


def errors(known: Components, size: Size, conditions: int | None = None) -> Errors | None:
    """For these prompts a single error, known to the study; for prompts like these see the module: None with one prompt."""
    variance = known.mean_square(size.prompts, size.samples) / size.items
    if conditions is None:
        sd = np.array([np.sqrt(variance)])
        return Errors(sd, -special.ndtri(LEVEL / 2) * sd)
    if size.prompts < 2:
        return None
    true_G = np.asarray(known.spread.quantile(*CHANCES))
    weight_HG = _learnt(known, size, conditions, true_G)
    sd_H = np.sqrt(variance + np.repeat(true_G, len(CHANCES)) ** 2 / size.prompts)
    return Errors(sd_H, edges(np.sqrt(variance + GRID**2 / size.prompts), weight_HG))


def _learnt(known: Components, size: Size, conditions: int, true_G: Array) -> Array:
    """Each study's posterior of the spread, studies x grid: for each true spread, at each quantile of the mean square of
    prompt x condition that it may find, which is scaled chi-squared."""
    noise = max(known.between(size.samples) / 2, 1e-9)  # of one condition; a difference has twice as much
    freedom = (conditions - 1) * (size.prompts - 1)
    chance = 2 * special.gammaincinv(freedom / 2, CHANCES) / freedom
    found_H = (noise + size.items * true_G[:, None] ** 2 / 2) * chance
    expected_G = noise + size.items * GRID**2 / 2
    log_HG = log_prior(PRIOR_SD) - freedom / 2 * (np.log(expected_G) + found_H.reshape(-1, 1) / expected_G)
    weight_HG = np.exp(log_HG - log_HG.max(axis=1, keepdims=True))
    return np.asarray(weight_HG / weight_HG.sum(axis=1, keepdims=True))


def edges(sd_G: Array, weight_HG: Array, level: float = LEVEL) -> Array:
    """What a zero-mean variable stays below in size with probability 1 - level, for mixtures of normals of these deviations."""
    low_H = np.full(len(weight_HG), -special.ndtri(level / 2) * sd_G.min())
    high_H = np.full(len(weight_HG), -special.ndtri(level / 2) * sd_G.max())
    for _ in range(30):
        middle_H = (low_H + high_H) / 2
        beyond_H = 2 * (weight_HG * special.ndtr(-middle_H[:, None] / sd_G)).sum(axis=1)
        low_H, high_H = np.where(beyond_H > level, middle_H, low_H), np.where(beyond_H > level, high_H, middle_H)
    return np.asarray(high_H)
