"""Contrasts across backbones and tasks: agreement with statsmodels, coverage with planted truths, and nothing from one study."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from statsmodels.stats.meta_analysis import combine_effects

from fmtbench.analysis.showing.meta_figure import meta
from fmtbench.analysis.statistics.bootstrap import bootstrap, variances
from fmtbench.analysis.statistics.cube import cells, cubes, sums
from fmtbench.analysis.statistics.meta import moderated, paule_mandel, pool
from fmtbench.analysis.statistics.pairs import Pair, difference_KU
from fmtbench.analysis.tables.contrasts import contrast_table
from fmtbench.analysis.tables.meta import ONE, meta_table
from fmtbench.errors import UserError
from tests.made_rows import coins, made_rows


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("tau", [0.0, 0.05])
def test_agrees_with_statsmodels(seed: int, tau: float) -> None:
    rng = np.random.default_rng(seed)
    variance = rng.uniform(0.0002, 0.003, 9)
    y = rng.normal(0.02, np.sqrt(variance + tau**2))
    ours = pool(y, variance)
    runs = [
        combine_effects(y, variance, method_re="iterated", use_t=True, atol=1e-8, tau2_start=share * ours.tau**2)
        for share in (0.3, 0.5, 0.7, 0.9)
    ]
    theirs = max(runs, key=lambda one: one.tau2)  # its Newton steps may overshoot, and it then says that there is no spread
    *_, wls = theirs.conf_int()
    assert ours.tau**2 == pytest.approx(theirs.tau2, abs=1e-9)
    assert ours.mean == pytest.approx(theirs.mean_effect_re, abs=1e-9)
    assert (ours.low, ours.high) == pytest.approx(tuple(wls), abs=1e-9)
    assert ours.i2 == pytest.approx(max(0.0, theirs.i2), abs=1e-9)


def test_intervals_hold_the_mean_and_the_prediction_a_further_study() -> None:
    rng, held, predicted, rounds = np.random.default_rng(1), 0, 0, 3000
    for _ in range(rounds):
        variance = rng.uniform(0.0002, 0.002, 8)
        y = -0.05 + 0.06 * rng.standard_normal(8) + np.sqrt(variance) * rng.standard_normal(8)
        found = pool(y, variance)
        held += found.low <= -0.05 <= found.high
        predicted += found.prediction_low <= -0.05 + 0.06 * rng.standard_normal() <= found.prediction_high
    assert 0.935 <= held / rounds <= 0.965
    assert 0.915 <= predicted / rounds <= 0.96, "of a prediction 93%, as is known of its interval (Partlett and Riley 2017)"


def test_the_spread_between_studies_is_found_and_noise_is_not_called_one() -> None:
    rng = np.random.default_rng(2)
    variance = np.full(200, 0.001)
    for tau in (0.0, 0.08):
        y = tau * rng.standard_normal(200) + np.sqrt(variance) * rng.standard_normal(200)
        assert np.sqrt(paule_mandel(y, variance, np.ones((200, 1)))) == pytest.approx(tau, abs=0.015)


def test_headroom_is_found_where_it_matters_and_chance_alone_makes_none() -> None:
    """Studies of 60 items without any effect: against the reference's own accuracy differences fall, since its error is in
    both; against the mean of both sides they do not."""
    rng, rounds, ours, naive = np.random.default_rng(3), 400, [], []
    for _ in range(rounds):
        rate = rng.uniform(0.4, 0.6, 12)
        c, reference = rng.binomial(60, rate) / 60, rng.binomial(60, rate) / 60
        variance = 2 * rate * (1 - rate) / 60
        ours.append(moderated(c - reference, variance, 1 - (c + reference) / 2))
        naive.append(moderated(c - reference, variance, 1 - reference))
    rejected = [np.mean([not one.low <= 0 <= one.high for one in some]) for some in (ours, naive)]
    assert rejected[0] <= 0.08
    assert rejected[1] > 0.3
    room = rng.uniform(0, 1, 40)
    slope = moderated(0.3 * room + 0.01 * rng.standard_normal(40), np.full(40, 1e-4), room)
    assert slope.low <= 0.3 <= slope.high
    assert slope.value == pytest.approx(0.3, abs=0.03)


def test_the_variance_of_a_study_is_that_of_its_draws() -> None:
    (one,) = map(cells, cubes(made_rows({"free_cot": coins(1, 90, 2, 2), "direct": coins(2, 90, 2), "same": coins(1, 90, 2, 2)})))
    summed = sums(difference_KU(one, [Pair("direct", "free_cot"), Pair("same", "free_cot")]), one)
    assert variances(summed) == pytest.approx(bootstrap(summed, 10_000).draws_BK.var(axis=0), rel=0.06)
    assert (variances(summed) > 0).all(), "without a disagreement it is small and not zero"


def studies(effects: dict[tuple[str, str], float], items: int = 400) -> pd.DataFrame:
    frames = []
    for k, ((backbone, task), effect) in enumerate(effects.items()):
        verdicts = {"free_cot": coins(2 * k, items, 2, p=0.5), "direct": coins(2 * k + 1, items, 2, p=0.5 + effect)}
        frames.append(made_rows(verdicts, backbone=backbone, task=task))
    return pd.concat(frames, ignore_index=True)


def test_the_table_combines_the_contrasts() -> None:
    effects = {(f"b{i}", f"t{j}"): -0.2 + 0.05 * i for i in range(3) for j in range(3)}
    rows = studies(effects)
    (line,) = meta_table(rows).itertuples()
    contrasts = contrast_table(rows, draws=200)
    assert line.studies == 9
    assert line.low <= np.mean(list(effects.values())) <= line.high
    assert line.prediction_low <= contrasts.difference.min() <= contrasts.difference.max() <= line.prediction_high
    assert contrasts.difference.min() < line.difference < contrasts.difference.max()
    assert {one["difference"] for one in meta_table(rows).attrs["studies"]} == set(contrasts.difference)


def test_floors_are_no_studies() -> None:
    zero = made_rows({"free_cot": np.zeros((50, 2)), "direct": np.zeros((50, 2))}, backbone="b9", task="hard")
    rows = studies({("b", "t0"): -0.1, ("b", "t1"): -0.1, ("b", "t2"): -0.1})
    with_zero, without = meta_table(pd.concat([rows, zero], ignore_index=True)), meta_table(rows)
    assert (with_zero.floors[0], without.floors[0]) == (1, 0)
    assert with_zero.difference[0] == without.difference[0]


def test_one_study_says_so_and_gives_no_number() -> None:
    with pytest.raises(UserError, match="each is here with one"):
        meta_table(studies({("b", "t"): -0.1}))
    more = made_rows({"free_cot": coins(0, 400, 2), "json_schema": coins(7, 400, 2)}, backbone="b", task="t3")
    table = meta_table(pd.concat([studies({("b", "t1"): 0.0, ("b", "t2"): 0.1}), more], ignore_index=True)).set_index("condition")
    alone = table.loc["json_schema"]
    assert (alone.studies, alone.note) == (1, ONE)
    assert alone[["difference", "low", "high", "prediction_low", "tau", "i2", "headroom"]].isna().all()
    two = table.loc["direct"]
    assert np.isfinite([two.difference, two.low]).all()
    assert np.isnan(two.prediction_low), "two studies tell no spread"


def test_nothing_leaves_the_possible_range_or_the_frame() -> None:
    rows = studies({("b", "t1"): -0.5, ("b", "t2"): 0.5, ("c", "t1"): 0.4}, items=60)
    table = meta_table(rows)
    ends = table[["low", "high", "prediction_low", "prediction_high"]]
    assert ends.min(axis=None) >= -1
    assert ends.max(axis=None) <= 1
    figure = meta(table)
    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    (axis,) = figure.axes
    low, high = axis.get_xlim()
    assert low <= 100 * table.prediction_low.min()
    assert high >= 100 * table.prediction_high.max()
    with pytest.raises(UserError, match="no contrast has two studies"):
        meta(table.assign(latent_difference=np.nan))
