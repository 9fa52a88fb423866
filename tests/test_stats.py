"""Accuracies with intervals, against published examples and scipy."""

import numpy as np
import pytest
from scipy import stats

from fmtbench.analysis.statistics.accuracy import accuracy


def test_wilson() -> None:
    value, low, high = accuracy(np.repeat([1.0, 0.0], [81, 182]))
    assert value == pytest.approx(0.3080, abs=1e-4)
    assert (low, high) == pytest.approx((0.2553, 0.3662), abs=1e-4)  # Newcombe 1998, Statistics in Medicine 17:857, table I
    assert accuracy(np.zeros(40)).high > 0.05


def test_wilson_agrees_with_scipy() -> None:
    theirs = stats.binomtest(7, 31).proportion_ci(method="wilson")
    assert accuracy(np.repeat([1.0, 0.0], [7, 24]))[1:] == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_repeats_that_are_copies_are_worth_their_items_alone() -> None:
    items = np.random.default_rng(1).random(60) < 0.4
    repeated = accuracy(items.repeat(10).astype(float), np.arange(60).repeat(10))
    assert repeated == pytest.approx(accuracy(items.astype(float)), abs=1e-9)


def test_repeats_that_share_nothing_are_worth_as_many_trials() -> None:
    verdicts = (np.random.default_rng(1).random(4000) < 0.4).astype(float)
    width, alone = (high - low for _, low, high in (accuracy(verdicts, np.arange(400).repeat(10)), accuracy(verdicts)))
    assert width == pytest.approx(alone, rel=0.15)
    assert width >= alone


@pytest.mark.parametrize(("value", "items"), [(0.0, 20), (1.0, 20)])
def test_where_all_agree_only_items_count(value: float, items: int) -> None:
    repeated = accuracy(np.full(10 * items, value), np.arange(items).repeat(10))
    assert repeated == pytest.approx(accuracy(np.full(items, value)), abs=1e-12)


@pytest.mark.parametrize(("a", "b"), [(0.4, 1.9), (0.7, 1.4), (2.0, 2.0)])
def test_the_interval_of_repeated_items_covers_and_is_not_too_wide(a: float, b: float) -> None:
    """100 items, six replies each, solve rates from a beta distribution: taken as 100 trials, coverage would be 98 to 100%."""
    rng = np.random.default_rng(3)
    item, truth, held, rounds = np.arange(100).repeat(6), a / (a + b), 0, 600
    for _ in range(rounds):
        _, low, high = accuracy((rng.random(600) < rng.beta(a, b, 100)[item]).astype(float), item)
        held += low <= truth <= high
    assert 0.925 <= held / rounds <= 0.975
