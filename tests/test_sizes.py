"""The size that a plan promises: its parts are those that were planted, and studies of that size find what was promised."""

from itertools import product

import numpy as np
import pytest

from fmtbench.analysis.statistics.bootstrap import bootstrap
from fmtbench.analysis.statistics.components import Components, components
from fmtbench.analysis.statistics.cube import Cube, cells, sums
from fmtbench.analysis.statistics.exact import detectable, sign_test
from fmtbench.analysis.statistics.pairs import Pair, difference_KU
from fmtbench.analysis.statistics.prompts import GRID, Spread, spread_of
from fmtbench.analysis.statistics.sizes import Size, cheapest, items_for, power, smallest
from fmtbench.analysis.tables.contrasts import contrast_table
from tests.made_rows import coins, made_rows
from tests.planted_worlds import cube_of, world

PAIR = Pair("c1", "free_cot")
ROUNDS = 150


def found(one: Cube, seed: int) -> tuple[bool, bool]:
    """Whether the test for these prompts rejects, and whether the interval for prompts like these leaves zero out."""
    one = cells(one)
    difference = difference_KU(one, [PAIR])
    drawn = bootstrap(sums(difference, one), 400, seed)
    these = sign_test(np.bincount(one.item_U, weights=difference[0])).p_mid <= 0.05
    prompts = len(np.unique(one.prompt_U))
    if prompts == 1:
        return these, False
    low, high = np.quantile(spread_of(one.strict_CU, one).draws(drawn.draws_BK[:, 0], prompts, seed), [0.025, 0.975])
    return these, not low <= 0 <= high


def known_from(seed: int, prompt_sd: float, conditions: int = 4) -> Components:
    pilot = world(np.random.default_rng(seed), 0.0, (1500, 6, 2), conditions, prompt_sd)
    known = components(cube_of(pilot), PAIR)
    assert known is not None
    return known


QUICK = [(False, 0.0, 2), (True, 0.03, 12)]
WORLDS = [
    pytest.param(*one, marks=() if one in QUICK else pytest.mark.slow) for one in product((False, True), (0.0, 0.03), (2, 12))
]


@pytest.mark.parametrize(("general", "prompt_sd", "conditions"), WORLDS)
def test_a_study_of_the_planned_size_finds_what_was_promised(general: bool, prompt_sd: float, conditions: int) -> None:
    """Four times in five with the planned difference, at most once in twenty with none; up to their Monte Carlo error."""
    rng, known, delta = np.random.default_rng(1), known_from(0, prompt_sd, conditions), 0.08
    size = cheapest(delta, known, 1319, conditions if general else None, range(1, 13))
    assert size is not None
    assert power(delta, known, size, conditions if general else None) == pytest.approx(0.8, abs=0.012)
    rates = {}
    for effect in (delta, 0.0):
        studies = (world(rng, effect, size, conditions, prompt_sd, these=not general) for _ in range(ROUNDS))
        rates[effect] = np.mean([found(cube_of(one), k)[general] for k, one in enumerate(studies)])
    assert 0.70 <= rates[delta] <= 0.90
    assert rates[0.0] <= 0.09


def test_the_parts_are_those_that_were_planted() -> None:
    """Verdicts that depend on items alone, on cells alone, or on the draw alone have all their variance there."""
    rng, shape = np.random.default_rng(2), (800, 4, 3)
    ones = np.ones(shape, dtype=bool)
    by_item = rng.random((800, 1, 1)) < 0.3
    by_cell = rng.random((800, 4, 1)) < 0.3
    by_draw = rng.random(shape) < 0.3
    for name, wrong in (("item", by_item), ("cell", by_cell), ("sampling", by_draw)):
        known = components(cube_of({"free_cot": ones, "c1": ones & ~wrong}), PAIR)
        assert known is not None
        centre = 0.09  # of a mean of 0.3, which is left in the item's part
        expected = {"item": centre, "cell": 0.0, "sampling": 0.0}
        expected[name] += 0.21
        assert (known.item, known.cell, known.sampling) == pytest.approx(tuple(expected.values()), abs=0.02)


@pytest.mark.parametrize("shape", [(200, 1, 1), (200, 3, 1), (200, 1, 4), (200, 3, 2)])
def test_at_the_pilots_own_size_it_agrees_with_the_table_of_contrasts(shape: tuple[int, int, int]) -> None:
    one = cube_of(world(np.random.default_rng(3), 0.05, shape))
    known = components(one, PAIR)
    assert known is not None
    averaged = cells(one)
    mean_I = np.bincount(averaged.item_U, weights=difference_KU(averaged, [PAIR])[0]) / shape[1]
    assert known.mean_square(*shape[1:]) == pytest.approx((mean_I**2).mean(), abs=1e-12)
    assert smallest(known, Size(*shape)) == pytest.approx(detectable((mean_I**2).sum(), 200), abs=2e-4)


def test_what_cannot_be_told_apart_is_never_promised() -> None:
    single = components(cube_of(world(np.random.default_rng(4), 0.0, (300, 3, 1))), PAIR)
    assert single is not None
    assert np.isnan(single.sampling)
    assert single.mean_square(3, 8) == single.mean_square(3, 1), "with one sample, nothing is known of more"
    one_prompt = components(cube_of(world(np.random.default_rng(4), 0.0, (300, 1, 1))), PAIR)
    assert one_prompt is not None
    assert one_prompt.mean_square(6) == one_prompt.mean_square(1), "with one prompt, nothing is known of more"


def test_without_a_disagreement_three_are_assumed() -> None:
    same = coins(1, 100, 1, 1)
    known = components(cube_of({"free_cot": same, "c1": same}), PAIR)
    assert known is not None
    assert not known.disagreed
    assert known.mean_square(1) == pytest.approx(0.03)


def test_more_of_anything_never_hides_a_difference() -> None:
    known = known_from(5, 0.03)
    for conditions in (None, 4):
        base = power(0.05, known, Size(300, 4, 1), conditions)
        for more in (Size(600, 4, 1), Size(300, 8, 1), Size(300, 4, 4)):
            assert power(0.05, known, more, conditions) >= base - 1e-12
    assert power(0.0, known, Size(300, 4, 1)) == pytest.approx(0.05, abs=1e-9)
    assert power(0.05, known, Size(300, 4, 1), 12) >= power(0.05, known, Size(300, 4, 1), 2), "more conditions teach more"


def test_prompts_that_matter_bound_what_items_can_show() -> None:
    certain = (np.abs(GRID - 0.06) == np.abs(GRID - 0.06).min()).astype(float)
    known = Components(0.1, 0.0, 0.0, Spread(certain, 8), 100, 8, True)
    assert items_for(0.03, known, 4, 1, 12) is None
    assert items_for(0.03, known, 4, 1) is not None
    needed = cheapest(0.03, known, 5000, 12, samples=[1])
    sd = GRID[certain.argmax()]
    assert needed is not None
    assert needed.prompts > ((1.96 + 0.8416) * sd / 0.03) ** 2
    assert cheapest(0.03, known, 5000, 12, prompts=[1]) is None
    assert np.isnan(smallest(known, Size(500, 1, 1), 12))


def test_the_table_of_contrasts_says_what_both_intervals_could_see() -> None:
    """Half of the general interval, and what leaves it four times in five, against a normal error of the same width."""
    rows = made_rows(world(np.random.default_rng(6), 0.0, (400, 4, 2), 12))
    table = contrast_table(rows, draws=2000)
    assert (table.general_mde > table.mde).all(), "other prompts are one more thing that is unknown"
    half = (table.general_high - table.general_low) / 2
    assert (table.general_mde / half).to_numpy() == pytest.approx((1.96 + 0.84) / 1.96, rel=0.1)
    alone = contrast_table(made_rows({"free_cot": coins(1, 60), "direct": coins(2, 60)}), draws=200)
    assert alone.general_mde.isna().all()
    assert alone.mde.notna().all()
