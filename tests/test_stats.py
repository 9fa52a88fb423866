"""Intervals on known truth: published examples, simulation, and the cases in which simpler intervals lie."""

import numpy as np
import pytest

from fmtbench.analysis.stats import accuracy, paired_difference


def pair(both: int, only_ours: int, only_base: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    ours = np.repeat([1.0, 1.0, 0.0, 0.0], [both, only_ours, only_base, neither])
    base = np.repeat([1.0, 0.0, 1.0, 0.0], [both, only_ours, only_base, neither])
    return ours, base


def test_wilson() -> None:
    value, low, high = accuracy(np.repeat([1.0, 0.0], [81, 182]))
    assert value == pytest.approx(0.3080, abs=1e-4)
    assert (low, high) == pytest.approx((0.2553, 0.3662), abs=1e-4)  # Newcombe 1998, Statistics in Medicine 17:857, table I
    assert accuracy(np.zeros(40)).high > 0.05


@pytest.mark.parametrize(
    ("table", "interval"),
    [
        # Newcombe 1998, Statistics in Medicine 17:2635, table III, method 10
        ((36, 12, 2, 0), (0.0569, 0.3404)),
        ((29, 4, 2, 1), None),
    ],
)
def test_newcombe(table: tuple[int, int, int, int], interval: tuple[float, float] | None) -> None:
    estimate = paired_difference(*pair(*table))
    n = sum(table)
    assert estimate.value == pytest.approx((table[1] - table[2]) / n)
    assert estimate.low < estimate.value < estimate.high
    if interval:
        assert (estimate.low, estimate.high) == pytest.approx(interval, abs=1e-4)


def test_the_same_rows_differ_by_nothing_and_not_with_certainty() -> None:
    value, low, high = paired_difference(*pair(20, 0, 0, 20))
    assert value == 0
    assert low == pytest.approx(-high)
    assert high > 0


def test_exchanging_the_arms_mirrors_the_interval() -> None:
    ours, base = pair(20, 9, 3, 8)
    forth, back = paired_difference(ours, base), paired_difference(base, ours)
    assert (forth.value, forth.low, forth.high) == pytest.approx((-back.value, -back.high, -back.low))


@pytest.mark.parametrize("n", [40, 200])
@pytest.mark.parametrize("cells", [(0.5, 0.1, 0.1, 0.3), (0.2, 0.3, 0.05, 0.45), (0.02, 0.01, 0.07, 0.9)])
def test_coverage(n: int, cells: tuple[float, ...]) -> None:
    """At least 93% of 1000 simulated intervals hold the truth (the method is a little conservative)."""
    rng = np.random.default_rng(0)
    truth = cells[1] - cells[2]
    held = 0
    for counts in rng.multinomial(n, cells, size=1000):
        _, low, high = paired_difference(*pair(*counts))
        held += low <= truth <= high
    assert 930 <= held <= 1000


def test_repeated_items_are_clusters() -> None:
    """Ten samples of twenty items know less than two hundred items: the interval is that of items."""
    rng = np.random.default_rng(1)
    by_item = rng.integers(0, 11, size=20) / 10
    value, low, high = paired_difference(by_item, np.zeros(20))
    assert low < value < high
    assert high - low > 0.2
    assert accuracy(by_item).high - accuracy(by_item).low > 0.3
