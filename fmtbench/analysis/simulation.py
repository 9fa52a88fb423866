"""Paired verdicts with known truth, to see whether intervals cover and tests keep their size.

An item's verdict under each prompt is one of: both conditions agree, only ours is right, only the reference is. With
probability `correlation` two prompts of an item share their draw, so that repeats of an item are alike.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fmtbench.analysis.bootstrap import bootstrap
from fmtbench.analysis.cube import Array, Sums
from fmtbench.analysis.exact import adjust, sign_test


class Design(NamedTuple):
    items: int
    prompts: int
    discordance: float
    """Share of item-prompt pairs on which the conditions disagree."""
    correlation: float
    """Of the differences of one item under two prompts."""


DESIGNS = (
    Design(30, 1, 0.20, 0.0),
    Design(30, 6, 0.30, 0.7),
    Design(80, 3, 0.10, 0.3),
    Design(200, 1, 0.05, 0.0),
    Design(200, 1, 0.20, 0.0),
    Design(200, 6, 0.02, 0.0),
    Design(200, 3, 0.30, 0.7),
    Design(500, 1, 0.02, 0.0),
    Design(500, 6, 0.10, 0.5),
    Design(500, 2, 0.30, 0.3),
    Design(1319, 1, 0.10, 0.0),
    Design(1319, 4, 0.05, 0.7),
)


class Report(NamedTuple):
    """Shares of draws: intervals that held the truth, and true nulls that were rejected at 5%."""

    coverage: float
    size_exact: float
    size_mid: float
    family_error: float
    """Any rejection among five true nulls, after Holm."""


def differences(design: Design, effect: float, rng: np.random.Generator) -> Array:
    """items x prompts of -1, 0, 1 with mean `effect`. An item's prompts share a draw so that they correlate as asked."""
    shared = rng.random((design.items, design.prompts)) < np.sqrt(design.correlation)
    draw = np.where(shared, rng.random((design.items, 1)), rng.random((design.items, design.prompts)))
    ours, base = (design.discordance + effect) / 2, (design.discordance - effect) / 2
    return (draw < ours).astype(float) - (draw > 1 - base).astype(float)


def simulate(design: Design, rounds: int, seed: int, resamples: int = 1000) -> Report:
    """Coverage with a true effect of a third of the discordance; sizes with none."""
    rng = np.random.default_rng(seed)
    truth = design.discordance / 3
    held = rejected = rejected_mid = families = 0
    for number in range(rounds):
        ours = differences(design, truth, rng)[:, :, None]
        drawn = bootstrap(Sums(ours, np.ones_like(ours)), resamples, seed=number)
        low, high = drawn.interval()
        held += int(low[0] - 1e-12 <= truth <= high[0] + 1e-12)
        tests = [sign_test(differences(design, 0.0, rng).sum(axis=1)) for _ in range(5)]
        rejected += tests[0].p <= 0.05
        rejected_mid += tests[0].p_mid <= 0.05
        families += bool((adjust(np.array([test.p for test in tests]), np.ones(5)) <= 0.05).any())
    return Report(held / rounds, rejected / rounds, rejected_mid / rounds, families / rounds)
