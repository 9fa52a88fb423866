"""Stopping rules: the boundaries are the published ones, and many looks reject no more true nulls than one test does."""

import numpy as np
import pytest

from fmtbench.analysis.statistics.exact import sign_test
from fmtbench.analysis.statistics.sequential import boundaries, shares, spending, which_look
from fmtbench.errors import UserError

PUBLISHED = {  # two-sided 5%, spending as in Lan and DeMets 1983, evenly spaced looks
    4: (4.3326, 2.9631, 2.3590, 2.0141),
    5: (4.8769, 3.3569, 2.6803, 2.2898, 2.0310),
}


@pytest.mark.parametrize("looks", PUBLISHED)
def test_published_boundaries(looks: int) -> None:
    found = [one.z for one in boundaries([(k + 1) / looks for k in range(looks)])]
    assert found == pytest.approx(PUBLISHED[looks], abs=1.5e-4)


@pytest.mark.parametrize("at", [(1.0,), (0.5, 1.0), (0.2, 0.25, 0.9, 1.0), tuple((k + 1) / 12 for k in range(12))])
def test_all_looks_together_keep_the_level(at: tuple[float, ...]) -> None:
    """Brownian motion, a million paths: without an effect one in twenty crosses, wherever the looks lie."""
    rng, paths = np.random.default_rng(0), 1_000_000
    looks, level = boundaries(at), 0.05
    moved, crossed, before = np.zeros(paths), np.zeros(paths, dtype=bool), 0.0
    for one in looks:
        moved += np.sqrt(one.share - before) * rng.standard_normal(paths)
        crossed |= np.abs(moved) / np.sqrt(one.share) >= one.z
        before = one.share
        assert crossed.mean() == pytest.approx(one.spent, abs=4 * np.sqrt(0.05 / paths))
    assert looks[-1].spent == pytest.approx(level, abs=1e-12)


def test_items_under_the_null_are_stopped_once_in_twenty() -> None:
    """The test that the tables use, on 400 items of which a fifth disagree, looked at four times; without the boundaries
    one study in eight would have been stopped."""
    rng, rounds = np.random.default_rng(1), 2000
    looks = boundaries([0.25, 0.5, 0.75, 1.0])
    stopped = naive = 0
    for _ in range(rounds):
        difference = rng.choice([-1, 0, 1], size=400, p=[0.1, 0.8, 0.1])
        p = [sign_test(difference[: round(400 * one.share)].astype(float)).p_mid for one in looks]
        stopped += any(seen <= one.p for seen, one in zip(p, looks))
        naive += any(seen <= 0.05 for seen in p)
    assert 0.038 <= stopped / rounds <= 0.062
    assert naive / rounds > 0.09


def test_an_effect_stops_early_and_power_is_kept() -> None:
    rng, looks = np.random.default_rng(2), boundaries([0.25, 0.5, 0.75, 1.0])
    drift = 1.959964 + 0.841621  # 80% for one test at the end
    steps = rng.standard_normal((200_000, 4)) / 2 + drift / 4
    z = steps.cumsum(axis=1) / np.sqrt([one.share for one in looks])
    crossed = np.abs(z) >= [one.z for one in looks]
    assert crossed.any(axis=1).mean() == pytest.approx(0.79, abs=0.01)
    assert crossed[:, :3].any(axis=1).mean() > 0.5


def test_spending_starts_at_nothing_and_ends_at_the_level() -> None:
    assert spending(1.0) == pytest.approx(0.05, abs=1e-12)
    assert spending(0.01) < 1e-50
    (first, _) = boundaries([0.01, 1.0])
    assert first.z == np.inf


def test_the_look_is_where_the_items_are() -> None:
    assert shares(2, 4, 0.55) == [0.25, 0.55]
    assert shares(4, 4, 0.9) == [0.25, 0.5, 0.75, 1.0], "the last look spends what is left"
    with pytest.raises(UserError, match="20% of the planned items"):
        shares(2, 4, 0.2)
    with pytest.raises(UserError, match="100% of the planned items"):
        shares(2, 4, 1.0)


@pytest.mark.parametrize("text", ["5/4", "0/4", "2", "a/b", "2/4/5", "-1/4", "1/1000", ""])
def test_what_is_no_look_is_one_line(text: str) -> None:
    with pytest.raises(UserError, match="give the number of this look and of all"):
        which_look(text)
