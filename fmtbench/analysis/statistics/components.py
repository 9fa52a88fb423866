"""What a difference's variance is made of, so that a study of another size can be planned from a pilot.

With I items, P prompts and S samples of each, the squared error of a mean difference over these prompts is

    (item + (cell + sampling / S) / P) / I

where `item` is how much items differ, `cell` how an item's difference varies from prompt to prompt, and `sampling` how
two samples of the same request differ (Brennan 2001, Generalizability Theory, chapter 4, with items as objects of
measurement). What a prompt does to all items alike is a fourth part; it matters only for prompts like these, and is learnt
from all conditions as their interval learns it (see `prompts`).

At the pilot's own size the three parts add up to the mean square of items that `detectable` takes, so the two agree there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fmtbench.analysis.statistics.cube import Array, Cube, average, cell_index, cells, table_CIP
from fmtbench.analysis.statistics.pairs import Pair
from fmtbench.analysis.statistics.prompts import Spread, spread_of

NONE_DISAGREE = 3.0
"""Discordant items assumed where none were seen."""


class Components(NamedTuple):
    """The components of one contrast, as squared shares."""

    item: float
    """Around zero, not around the mean, since the test takes its variance under the null."""
    cell: float
    """With a single sample per cell, this includes the sampling noise."""
    sampling: float
    """Of a single sample on each side; NaN where no cell of one side has two."""
    spread: Spread
    items: int
    """Items of the pilot; `prompts` is its prompts."""
    prompts: int
    disagreed: bool
    """Whether any item differs; if none does, the parts are an upper bound."""

    def mean_square(self, prompts: int, samples: int = 1) -> float:
        """Of an item's mean difference over so many prompts and samples; samples help only where `sampling` is known."""
        between = self.cell + self._sampled(samples)
        return self.item + between / prompts

    def between(self, samples: int = 1) -> float:
        """Mean square of item x prompt; with one prompt in the pilot, the whole mean square, which is an upper bound of it."""
        return self.cell + self._sampled(samples) + (self.item if self.prompts == 1 else 0.0)

    def _sampled(self, samples: int) -> float:
        return 0.0 if np.isnan(self.sampling) else self.sampling / samples


def components(one: Cube, pair: Pair, reading: str = "strict") -> Components | None:
    """From a pilot's cube with all its samples; None where no item has both conditions.

    A part that cannot be told from another stays in that one, so that no reduction is promised that may not happen: with one
    prompt `cell` is part of `item`, with one sample `sampling` is part of `cell`. Where no item differs, the whole is that of
    three discordant items, the 95% upper bound (rule of three).
    """
    averaged = cells(one)
    difference_IP = _differences(averaged, pair, reading)
    if difference_IP is None:
        return None
    items, prompts = len(difference_IP), _prompts(difference_IP)
    seen = float((np.nanmean(difference_IP, axis=1) ** 2).mean())
    whole = seen if seen > 0 else min(NONE_DISAGREE, items) / items
    noise = [_sampling(one, averaged, name, reading) for name in pair]
    single, now = (sum(some) for some in zip(*noise))
    between = min(_between_prompts(difference_IP), prompts * whole) if prompts > 1 else 0.0
    sampled = min(now, between if prompts > 1 else whole) if np.isfinite(now) else 0.0
    scale = single * sampled / now if np.isfinite(now) and now > 0 else single
    if prompts == 1:
        return Components(whole - sampled, 0.0, scale, spread_of(averaged.scores(reading), averaged), items, 1, seen > 0)
    spread = spread_of(averaged.scores(reading), averaged)
    return Components(whole - between / prompts, between - sampled, scale, spread, items, round(prompts), seen > 0)


def _differences(averaged: Cube, pair: Pair, reading: str) -> Array | None:
    """Items x prompts, for the items and prompts that both conditions have; NaN where a cell is missing."""
    score_CU = averaged.scores(reading)
    ours, base = table_CIP(score_CU[[averaged.at(name) for name in pair]], averaged)
    difference_IP: Array = ours - base
    there = np.isfinite(difference_IP)
    if not there.any():
        return None
    return difference_IP[there.any(axis=1)][:, there.any(axis=0)]


def _prompts(difference_IP: Array) -> float:
    """Prompts per item: the harmonic mean, since it divides a variance."""
    return float(1 / (1 / np.isfinite(difference_IP).sum(axis=1)).mean())


def _between_prompts(difference_IP: Array) -> float:
    """Mean square of item x prompt: the residual of a cell given its item and its prompt; 0 without two complete items."""
    whole = difference_IP[np.isfinite(difference_IP).all(axis=1)]
    items, prompts = whole.shape
    if min(items, prompts) < 2:
        return 0.0
    rest = whole - whole.mean(1, keepdims=True) - whole.mean(0) + whole.mean()
    return float((rest**2).sum() / ((items - 1) * (prompts - 1)))


def _sampling(one: Cube, averaged: Cube, condition: str, reading: str) -> tuple[float, float]:
    """Variance of a single sample of a cell, and of the mean of a cell's samples; NaN where no cell has two samples."""
    score_U = one.scores(reading)[one.at(condition)]
    index_U, first = cell_index(one)
    there = np.isfinite(score_U)
    count = np.bincount(index_U[there], minlength=len(first))
    (mean,) = average(score_U[None], one)
    square = np.bincount(index_U[there], weights=(score_U[there] - mean[index_U[there]]) ** 2, minlength=len(first))
    several = count > 1
    if not several.any():
        return float("nan"), float("nan")
    single = float(square[several].sum() / (count[several] - 1).sum())
    return single, single * float((1 / count[count > 0]).mean())
