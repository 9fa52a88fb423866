"""How much the wording of a prompt moves a difference, and what that adds to an interval for prompts like those that were asked.

Two prompts say next to nothing about the spread of one difference (one degree of freedom), but every condition of a backbone
and task gets the same prompts. The mean square of prompt x condition has (conditions - 1)(prompts - 1) degrees of freedom, and
its expectation is noise + items x sd^2 / 2, where sd is that of a *difference* of two conditions from one prompt to the next
(Searle, Casella and McCulloch 1992, Variance Components, chapter 4). A half-normal prior of 5 points (Gelman 2006, Bayesian
Analysis 1:515) keeps the spread finite where conditions and prompts are few.

This is the model score ~ condition + (1|item) + (1|item:condition) + (1|prompt) + (1|prompt:condition) of lme4, without its
iteration and with the uncertainty of sd carried into the interval. It treats conditions as exchangeable: one that no prompt
can move, such as the sham, gets the spread of the others. So a null is judged by the interval for these prompts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fmtbench.analysis.statistics.bootstrap import SEED
from fmtbench.analysis.statistics.cube import RERUN, Array, Cube, Index, table_CIP

PRIOR_SD = 0.05
GRID = np.concatenate([[0.0], np.geomspace(1e-3, 0.5, 200)])
"""Values of sd, as shares."""
FULL = 0.5
"""A condition takes part in the estimate if it has at least this share of the cells of the most complete one."""


class Squares(NamedTuple):
    """Mean squares of a complete table of conditions x items x prompts."""

    interaction: float
    """Mean square of prompt x condition."""
    noise: float
    """Mean square of item x prompt x condition."""
    freedom: int
    items: int


class Spread(NamedTuple):
    """The posterior of sd."""

    weight_G: Array
    """Probability of each value of `GRID`."""
    prompts: int
    """Prompts that all conditions share; with fewer than two, `weight_G` is the prior alone."""

    def quantile(self, *levels: float) -> list[float]:
        """Quantiles of sd, as shares."""
        last = len(GRID) - 1
        return [float(GRID[min(last, int(np.searchsorted(np.cumsum(self.weight_G), level)))]) for level in levels]

    def draws(self, draws_B: Array, prompts: int, seed: int = SEED) -> Array:
        """Draws for these prompts turned into draws for prompts like these; NaN with a single prompt."""
        if prompts < 2:
            return np.full(len(draws_B), np.nan)
        rng = np.random.default_rng([seed, 1])
        sd_B = rng.choice(GRID, size=len(draws_B), p=self.weight_G)
        return draws_B + rng.standard_normal(len(draws_B)) * sd_B / np.sqrt(prompts)


def spread_of(score_CU: Array, one: Cube) -> Spread:
    """From the averaged cells of one backbone and task (`cube.cells`), all conditions at once."""
    kept = [i for i, name in enumerate(one.conditions) if not name.endswith(RERUN)]
    table = table_CIP(score_CU[kept], one)
    cells_C = np.isfinite(table).sum(axis=(1, 2))
    table = table[cells_C >= FULL * cells_C.max()]
    shared_P = np.isfinite(table).any(axis=1).all(axis=0)
    return Spread(sd_weights(table[:, :, shared_P]), int(shared_P.sum()))


def sd_weights(score_CIP: Array, prior_sd: float = PRIOR_SD) -> Array:
    """Posterior over `GRID`: half-normal prior, scaled chi-squared likelihood of the mean square; the prior alone with fewer than
    two conditions, items or prompts."""
    log = log_prior(prior_sd)
    whole = score_CIP[:, np.isfinite(score_CIP).all(axis=(0, 2))]
    if min(whole.shape) > 1:
        seen = mean_squares(whole)
        expected = max(seen.noise, 1e-9) + seen.items * GRID**2 / 2
        log = log - seen.freedom / 2 * (np.log(expected) + seen.interaction / expected)
    weight_G = np.exp(log - log.max())
    return np.asarray(weight_G / weight_G.sum())


def log_prior(prior_sd: float = PRIOR_SD) -> Array:
    """Log prior of each value of `GRID`, up to a constant: half-normal density times the width of its step."""
    step = np.gradient(GRID)
    step[0] = GRID[1] / 2
    return np.asarray(np.log(step) - 0.5 * (GRID / prior_sd) ** 2)


def mean_squares(score_CIP: Array) -> Squares:
    """Analysis of variance of a complete crossed table with one value per cell."""
    conditions, items, prompts = score_CIP.shape
    pair_CP, pair_CI, pair_IP = score_CIP.mean(1), score_CIP.mean(2), score_CIP.mean(0)
    mean_C, mean_I, mean_P, mean = pair_CP.mean(1), pair_IP.mean(1), pair_CP.mean(0), score_CIP.mean()
    interaction = pair_CP - mean_C[:, None] - mean_P + mean
    rest = (
        score_CIP - (pair_CI - mean_C[:, None])[:, :, None] - (pair_IP - mean_I[:, None] - mean_P)[None] - pair_CP[:, None] - mean
    )
    freedom = (conditions - 1) * (prompts - 1)
    return Squares(
        interaction=float(items * (interaction**2).sum() / freedom),
        noise=float((rest**2).sum() / (freedom * (items - 1))),
        freedom=freedom,
        items=items,
    )


def prompt_values(difference_U: Array, prompt_U: Index) -> list[float]:
    """The mean difference under each prompt that has one, in the order of the prompts' names."""
    there = np.isfinite(difference_U)
    return [float(difference_U[there & (prompt_U == prompt)].mean()) for prompt in np.unique(prompt_U[there])]
