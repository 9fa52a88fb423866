"""Accuracies with intervals, against published examples and scipy."""

import numpy as np
import pytest
from scipy import stats

from fmtbench.analysis.statistics.accuracy import accuracy, item_means


def test_wilson() -> None:
    value, low, high = accuracy(np.repeat([1.0, 0.0], [81, 182]))
    assert value == pytest.approx(0.3080, abs=1e-4)
    assert (low, high) == pytest.approx((0.2553, 0.3662), abs=1e-4)  # Newcombe 1998, Statistics in Medicine 17:857, table I
    assert accuracy(np.zeros(40)).high > 0.05


def test_wilson_agrees_with_scipy() -> None:
    theirs = stats.binomtest(7, 31).proportion_ci(method="wilson")
    assert accuracy(np.repeat([1.0, 0.0], [7, 24]))[1:] == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_repeated_items_are_clusters() -> None:
    """Ten samples of twenty items know less than two hundred items: the interval is that of items."""
    rng = np.random.default_rng(1)
    item_U = np.arange(20).repeat(10)
    by_item = item_means((rng.random(200) < rng.random(20).repeat(10)).astype(float), item_U)
    assert len(by_item) == 20
    assert accuracy(by_item).high - accuracy(by_item).low > 0.3
