"""Simulated studies whose prompts matter, to check coverage and width of both intervals of a difference against a known truth.

A condition's accuracy under a prompt is its own mean plus the prompt's effect on all conditions plus its effect on this one.
The latter has heavy tails (Student's t with 5 degrees of freedom), unlike the normal spread that the interval assumes.
Verdicts of an item are correlated across conditions and prompts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import special

from fmtbench.analysis.statistics.bootstrap import Draws, bootstrap
from fmtbench.analysis.statistics.cube import Array, Sums
from fmtbench.analysis.statistics.prompts import Spread, sd_weights

MAIN_SD = 0.03
"""Of a prompt's effect on all conditions alike."""
SHARED = 0.6
"""Correlation between the verdicts of one item."""
TAILS = 5


class PromptDesign(NamedTuple):
    items: int
    prompts: int
    conditions: int
    """Including the reference."""
    spread: float
    """Standard deviation of a difference from one prompt to the next."""


PROMPT_DESIGNS = tuple(
    PromptDesign(items, prompts, conditions, spread)
    for items in (30, 100, 500, 1319)
    for prompts in (1, 2, 4, 8)
    for conditions in (2, 4, 12)
    for spread in (0.0, 0.01, 0.03, 0.05)
)


class Intervals(NamedTuple):
    """Shares of intervals that cover their truth, and mean half-widths, as shares; NaN where the interval is undefined."""

    these_coverage: float
    """Of the mean difference under the prompts of the study."""
    these_width: float
    general_coverage: float
    """Of the mean difference over all prompts."""
    general_width: float
    narrow_coverage: float
    """How often the interval for these prompts covers the mean over all prompts, for comparison."""


class MadeStudy(NamedTuple):
    score_CIP: Array
    """Verdicts, the reference first."""
    mean_CP: Array
    """The accuracy of each condition under each prompt."""
    mean_C: Array
    """Over all possible prompts."""


def made_study(design: PromptDesign, rng: np.random.Generator) -> MadeStudy:
    conditions, prompts = design.conditions, design.prompts
    mean_C = np.concatenate([[rng.uniform(0.3, 0.8)], rng.uniform(0.1, 0.9, conditions - 1)])
    tails_CP = rng.standard_t(TAILS, (conditions, prompts)) / np.sqrt(TAILS / (TAILS - 2))
    mean_CP = mean_C[:, None] + MAIN_SD * rng.standard_normal(prompts) + design.spread / np.sqrt(2) * tails_CP
    mean_CP = mean_CP.clip(0.005, 0.995)
    item_I, item_CI = rng.standard_normal(design.items), rng.standard_normal((conditions, design.items))
    own_CIP = rng.standard_normal((conditions, design.items, prompts))
    hard_CIP = np.sqrt(SHARED) * item_I[:, None] + np.sqrt(0.15) * item_CI[:, :, None] + np.sqrt(0.85 - SHARED) * own_CIP
    return MadeStudy((hard_CIP < special.ndtri(mean_CP)[:, None, :]).astype(float), mean_CP, mean_C)


def simulate_prompts(design: PromptDesign, rounds: int, seed: int, resamples: int = 1000) -> Intervals:
    """All contrasts with the reference, over `rounds` studies."""
    rng = np.random.default_rng(seed)
    lines = [line for number in range(rounds) for line in _intervals(made_study(design, rng), resamples, number)]
    return Intervals(*map(float, np.mean(lines, axis=0)))


def _intervals(made: MadeStudy, resamples: int, seed: int) -> Iterator[tuple[float, ...]]:
    prompts = made.score_CIP.shape[2]
    spread = Spread(sd_weights(made.score_CIP), prompts)
    for k in range(1, len(made.mean_C)):
        difference = (made.score_CIP[k] - made.score_CIP[0])[:, :, None]
        drawn = bootstrap(Sums(difference, np.ones_like(difference)), resamples, seed)
        draws_B = drawn.draws_BK[:, 0]
        both = np.column_stack([draws_B, spread.draws(draws_B, prompts, seed)])
        low, high = Draws(np.repeat(drawn.means_K, 2), both).interval(bounds=(-1, 1))
        here, everywhere = (made.mean_CP[k] - made.mean_CP[0]).mean(), made.mean_C[k] - made.mean_C[0]
        half = (high - low) / 2
        held = float(low[1] <= everywhere <= high[1]) if prompts > 1 else np.nan
        yield float(low[0] <= here <= high[0]), half[0], held, half[1], float(low[0] <= everywhere <= high[0])
