"""Paired verdicts with a known truth, to check that intervals cover and that tests keep their level.

An item's verdict under each prompt is one of three: both conditions agree, only the condition is right, only the reference is.
With probability `correlation` two prompts of an item share their draw, so that repeats of an item resemble each other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fmtbench.analysis.statistics.bootstrap import bootstrap
from fmtbench.analysis.statistics.cube import Array, Sums
from fmtbench.analysis.statistics.exact import SignTest, sign_test


class Design(NamedTuple):
    items: int
    prompts: int
    discordance: float
    """Share of item-prompt pairs on which the conditions disagree."""
    correlation: float
    """Between the differences of one item under two prompts."""


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
    """Shares of rounds in which intervals cover the truth, and in which true nulls are rejected at 5%."""

    coverage: float
    size_exact: float
    size_mid: float
    size_score: float
    family_exact: float
    """Any rejection among five true nulls, after Holm."""
    family_mid: float
    family_score: float


def differences(design: Design, effect: float, rng: np.random.Generator) -> Array:
    """items x prompts of -1, 0, 1 with mean `effect`. The prompts of an item share draws, to correlate as asked."""
    shared = rng.random((design.items, design.prompts)) < np.sqrt(design.correlation)
    draw = np.where(shared, rng.random((design.items, 1)), rng.random((design.items, design.prompts)))
    ours, base = (design.discordance + effect) / 2, (design.discordance - effect) / 2
    return (draw < ours).astype(float) - (draw > 1 - base).astype(float)


def simulate(design: Design, rounds: int, seed: int, resamples: int = 1000) -> Report:
    """Coverage with a true effect of a third of the discordance; rejection rates without an effect."""
    rng = np.random.default_rng(seed)
    truth = design.discordance / 3
    held = 0
    rejected = []
    for number in range(rounds):
        ours = differences(design, truth, rng)[:, :, None]
        low, high = bootstrap(Sums(ours, np.ones_like(ours)), resamples, seed=number).interval()
        held += int(low[0] - 1e-12 <= truth <= high[0] + 1e-12)
        rejected.append(_rejections([sign_test(differences(design, 0.0, rng).sum(axis=1)) for _ in range(5)]))
    return Report(held / rounds, *map(float, np.mean(rejected, axis=0)))


def _rejections(tests: list[SignTest], level: float = 0.05) -> Any:
    """Share of the tests that reject (exact, mid-p, score), and whether any of them does after Holm."""
    both = np.array(tests)
    smallest = both.min(axis=0) * len(tests)  # Holm multiplies the smallest p by the number of tests
    return np.concatenate([(both <= level).mean(axis=0), smallest <= level])
