"""What a difference's variance is made of, so that a study of another size can be planned from a pilot.

With I items, P prompts and S samples of each, the squared error of a mean difference over these prompts is

    (item + (cell + sampling / S) / P) / I

where `item` is what items differ by, `cell` what an item's difference changes by from prompt to prompt, and `sampling` what
two samples of the same request change (Brennan 2001, Generalizability Theory, chapter 4, with items as objects of
measurement). What a prompt does to all items alike is a fourth part; it matters for prompts like these alone, and is learnt
from all conditions as their interval learns it (see `prompts`).

At the pilot's own size the three parts add up to the mean square of items that `detectable` takes, so both agree there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fmtbench.analysis.statistics.cube import Array, Cube, average, cell_index, cells, table_CIP
from fmtbench.analysis.statistics.pairs import Pair
from fmtbench.analysis.statistics.prompts import Spread, spread_of

NONE_DISAGREE = 3.0
"""Discordant items assumed where none was seen."""


class Components(NamedTuple):
    """Of one contrast, as squared shares."""

    item: float
    """About zero and not about the mean, since the test's variance is that under no difference."""
    cell: float
    """With a single sample a cell, the noise of sampling is in here."""
    sampling: float
    """Of a single sample on each side; NaN where no cell of a side has two."""
    spread: Spread
    items: int
    """That the pilot has, as are the prompts."""
    prompts: int
    disagreed: bool
    """Whether any item differs; else the parts are an upper bound."""

    def mean_square(self, prompts: int, samples: int = 1) -> float:
        """Of the mean difference of an item over so many prompts and samples; these help only where `sampling` is known."""
        between = self.cell + self._sampled(samples)
        return self.item + between / prompts

    def between(self, samples: int = 1) -> float:
        """Mean square of item x prompt; the whole, which is at least that, where the pilot has one prompt."""
        return self.cell + self._sampled(samples) + (self.item if self.prompts == 1 else 0.0)

    def _sampled(self, samples: int) -> float:
        return 0.0 if np.isnan(self.sampling) else self.sampling / samples


def components(one: Cube, pair: Pair, reading: str = "strict") -> Components | None:
    """From a pilot's cube with all its samples; None where no item has both conditions.

    A part that cannot be told from another is left in that one, so that what would lower it is never promised: with one
    prompt `cell` is in `item`, with one sample `sampling` is in `cell`. Where no item differs the whole is that
    of three discordant ones, the 95% upper bound (rule of three).
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
    """Items x prompts, of the items and prompts that both conditions have; NaN where a cell is missing."""
    score_CU = averaged.scores(reading)
    ours, base = table_CIP(score_CU[[averaged.at(name) for name in pair]], averaged)
    difference_IP: Array = ours - base
    there = np.isfinite(difference_IP)
    if not there.any():
        return None
    return difference_IP[there.any(axis=1)][:, there.any(axis=0)]


def _prompts(difference_IP: Array) -> float:
    """Prompts of an item: the harmonic mean, which is what divides a variance."""
    return float(1 / (1 / np.isfinite(difference_IP).sum(axis=1)).mean())


def _between_prompts(difference_IP: Array) -> float:
    """Mean square of item x prompt: what is left of a cell without its item and its prompt; 0 where no two items are whole."""
    whole = difference_IP[np.isfinite(difference_IP).all(axis=1)]
    items, prompts = whole.shape
    if min(items, prompts) < 2:
        return 0.0
    rest = whole - whole.mean(1, keepdims=True) - whole.mean(0) + whole.mean()
    return float((rest**2).sum() / ((items - 1) * (prompts - 1)))


def _sampling(one: Cube, averaged: Cube, condition: str, reading: str) -> tuple[float, float]:
    """Variance of a single sample of a cell, and that of the mean of the samples which cells have; NaN where none has two."""
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
