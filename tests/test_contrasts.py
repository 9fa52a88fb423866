"""Contrasts: agreement with other libraries, exact nulls, known truth."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from fmtbench.analysis.statistics.bootstrap import bootstrap
from fmtbench.analysis.statistics.cube import Sums
from fmtbench.analysis.statistics.exact import adjust, detectable, odds_ratio, sign_test
from fmtbench.analysis.statistics.simulation import Design, simulate
from fmtbench.analysis.tables.contrasts import contrast_table
from fmtbench.analysis.tables.decomposition import decomposition_table
from fmtbench.analysis.tables.main import accuracy_table
from fmtbench.errors import UserError
from tests.commanding import called
from tests.made_rows import coins, made_rows


def two(n: int = 300) -> pd.DataFrame:
    return made_rows({"free_cot": coins(1, n, p=0.7), "json_schema": coins(2, n, p=0.6), "direct": coins(3, n, p=0.3)})


def test_numbers_by_hand() -> None:
    rows = made_rows({"free_cot": [1] * 60 + [0] * 40, "direct": [1] * 50 + [0] * 10 + [1] * 5 + [0] * 35})
    (line,) = contrast_table(rows).itertuples()
    assert (line.n, line.accuracy, line.reference_accuracy) == (100, 0.55, 0.6)
    assert line.difference == pytest.approx(line.accuracy - line.reference_accuracy, abs=1e-15)
    assert line.low < line.difference < line.high
    assert (line.discordant, line.odds_ratio) == (15, 0.5)
    assert line.mde == pytest.approx((stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) * np.sqrt(0.15 / 100), abs=1e-12)


@pytest.mark.parametrize("table", [(5, 9), (0, 0), (0, 7), (12, 12), (400, 350)])
def test_mcnemar_agrees_with_statsmodels(table: tuple[int, int]) -> None:
    ours, base = table
    differences = np.repeat([1.0, -1.0, 0.0], [ours, base, 50])
    expected = mcnemar([[20, ours], [base, 30]], exact=True).pvalue
    assert sign_test(differences).p == pytest.approx(expected, abs=1e-9)
    if ours + base:
        asymptotic = mcnemar([[20, ours], [base, 30]], exact=False, correction=False).pvalue
        assert sign_test(differences).p_score == pytest.approx(asymptotic, abs=1e-9)


def test_the_exact_test_of_items_asked_once_agrees_with_scipy() -> None:
    assert sign_test(np.repeat([1.0, -1.0], [17, 8])).p == pytest.approx(stats.binomtest(17, 25).pvalue, abs=1e-9)


def test_an_interval_does_not_depend_on_its_company_or_sign() -> None:
    """The same difference has one interval in every table, and exchanging the arms mirrors it."""
    rows = made_rows({"free_cot": coins(1, 80, 3, p=0.7), "json_schema": coins(2, 80, 3), "direct": coins(3, 80, 3, p=0.3)})
    whole = contrast_table(rows).set_index("condition")
    alone = contrast_table(rows[rows.condition != "direct"]).set_index("condition")
    assert (alone.loc["json_schema", ["low", "high"]] == whole.loc["json_schema", ["low", "high"]]).all()
    mirrored = contrast_table(rows, reference="json_schema").set_index("condition").loc["free_cot"]
    assert (mirrored.low, mirrored.high) == (-whole.high["json_schema"], -whole.low["json_schema"])
    printed = accuracy_table(rows).set_index("condition").loc["json_schema"]
    assert (printed.strict_diff_low, printed.strict_diff_high) == (whole.low["json_schema"], whole.high["json_schema"])
    lost = decomposition_table(rows, {"free_cot": {}, "json_schema": {"asked": "json"}}).set_index("component").loc["total"]
    assert (lost.low, lost.high) == (mirrored.low, mirrored.high)


def test_odds_agree_with_scipy() -> None:
    theirs = stats.binomtest(17, 25).proportion_ci(method="exact")
    expected = (17 / 8, theirs.low / (1 - theirs.low), theirs.high / (1 - theirs.high))
    assert odds_ratio(17, 8) == pytest.approx(expected, abs=1e-9)


def test_repeated_items_agree_with_scipys_exact_permutation() -> None:
    totals = np.array([3, -1, 2, 2, 0, -3, 1, 3, 1, -1], dtype=float)
    done = stats.permutation_test(
        (totals, np.zeros(10)), lambda a, b: np.sum(a - b), permutation_type="samples", n_resamples=np.inf
    )
    assert sign_test(totals).p == pytest.approx(done.pvalue, abs=1e-9)


def by_definition(p: np.ndarray, method: str) -> np.ndarray:
    """Step by step, as Holm 1979 and Benjamini and Hochberg 1995 write them."""
    m = len(p)
    adjusted = np.empty(m)
    if method == "holm":
        largest = 0.0
        for rank, i in enumerate(np.argsort(p, kind="stable")):
            largest = max(largest, p[i] * (m - rank))
            adjusted[i] = min(1.0, largest)
    else:
        least = 1.0
        for rank, i in reversed(list(enumerate(np.argsort(p, kind="stable"), start=1))):
            least = min(least, p[i] * m / rank)
            adjusted[i] = least
    return adjusted


@pytest.mark.parametrize("seed", range(20))
def test_corrections_are_those_of_their_definitions(seed: int) -> None:
    """Planned and other tests are families of their own; ties are corrected alike; without a test there is no value."""
    rng = np.random.default_rng(seed)
    p = rng.choice([rng.random(12) ** 3, rng.integers(0, 4, 12) / 4]).round(int(rng.integers(1, 17)))
    p[rng.random(12) < 0.2] = np.nan
    planned = rng.random(12) < rng.choice([0.0, 0.5, 1.0])
    adjusted = adjust(p, planned.astype(float))
    assert np.array_equal(np.isnan(adjusted), np.isnan(p))
    for family, method in ((planned, "holm"), (~planned, "bh")):
        tested = family & np.isfinite(p)
        assert adjusted[tested] == pytest.approx(by_definition(p[tested], method), abs=1e-15)
    for value in p[np.isfinite(p)]:
        for family in (planned, ~planned):
            assert len(set(adjusted[family & (p == value)])) <= 1, "ties"


def test_planned_contrasts_are_marked_and_corrected_apart() -> None:
    table = contrast_table(two(), planned=["json_schema", {"condition": "json_schema", "reference": "direct"}])
    assert list(table.planned) == [False, True, True]
    assert list(table.correction) == ["bh", "holm", "holm"]
    assert table.p_adjusted[0] == table.p_mcnemar[0], "one unplanned test is a family of one"
    for name, adjusted in (("p_mcnemar", "p_adjusted"), ("p_score", "p_score_adjusted")):
        assert table[adjusted].to_numpy()[1:] == pytest.approx(multipletests(table[name][1:], method="holm")[1], abs=1e-9)
    with pytest.raises(UserError, match="planned contrast"):
        contrast_table(two(), planned=[{"conditions": "json_schema"}])


def test_one_condition_under_two_names_differs_by_exactly_nothing() -> None:
    same = coins(4, 500, 3)
    (line,) = contrast_table(made_rows({"free_cot": same, "again": same})).itertuples()
    assert (line.difference, line.latent_difference, line.p_mcnemar, line.p_adjusted) == (0, 0, 1, 1)
    assert line.low < 0 < line.high, "that nobody was seen to differ does not prove that nobody does"
    assert line.equivalent


def test_equivalence_is_not_the_absence_of_a_difference() -> None:
    (line,) = contrast_table(made_rows({"free_cot": coins(5, 60), "direct": coins(6, 60)})).itertuples()
    assert line.p_mcnemar > 0.05
    assert not line.equivalent


def test_only_shared_units_are_compared() -> None:
    rows = two(100)
    short = rows[(rows.condition == "free_cot") | (rows.item_id.astype(int) < 40)]
    assert set(contrast_table(short).n) == {40}
    apart = pd.concat([rows[rows.condition == "free_cot"], rows[rows.condition == "direct"].assign(item_id="x" + rows.item_id)])
    with pytest.raises(UserError, match="no condition shares an item with free_cot"):
        contrast_table(apart)


def test_order_of_rows_and_of_conditions_does_not_matter() -> None:
    rows = two(150)
    pd.testing.assert_frame_equal(contrast_table(rows), contrast_table(rows.sample(frac=1, random_state=0)))


def test_small_samples_are_marked() -> None:
    (line,) = contrast_table(made_rows({"free_cot": coins(7, 20, 2), "direct": coins(8, 20, 2)})).itertuples()
    assert "n<30" in line.mark
    assert "prompts<6" in line.mark


def test_bootstrap_agrees_with_scipy() -> None:
    values = np.random.default_rng(9).normal(0.1, 1, 400)
    sums = Sums(values[:, None, None], np.ones((400, 1, 1)))
    low, high = bootstrap(sums, 20_000, constant_K=np.array([True])).interval()
    theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(0))
    assert (low[0], high[0]) == pytest.approx(theirs.confidence_interval, abs=0.005)


def test_prompts_that_matter_widen_the_interval() -> None:
    effect = np.array([0.3, 0.1, -0.1, -0.3, 0.2, -0.2])
    free = coins(10, 400, 6)
    ours = np.random.default_rng(11).random((400, 6)) < 0.5 + effect
    wide, narrow = (
        contrast_table(made_rows({"free_cot": free, "direct": direct})).iloc[0] for direct in (ours, coins(12, 400, 6))
    )
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_detectable_difference_is_detected_four_times_in_five() -> None:
    n, share = 500, 0.2
    mde = detectable(share * n, n)
    rng = np.random.default_rng(13)
    counts = rng.multinomial(n, [(share + mde) / 2, (share - mde) / 2, 1 - share], size=2000)
    found = np.mean([sign_test(np.repeat([1.0, -1.0], [a, b])).p_score < 0.05 for a, b, _ in counts])
    assert found == pytest.approx(0.8, abs=0.04)


@pytest.mark.parametrize("design", [Design(200, 1, 0.2, 0.0), Design(200, 3, 0.3, 0.7)])
def test_simulation(design: Design) -> None:
    """The short version of experiments.simulate; its bounds allow for 300 rounds."""
    report = simulate(design, 300, seed=0, resamples=500)
    assert 0.91 <= report.coverage <= 0.98
    assert report.size_exact <= 0.06
    assert 0.03 <= report.size_score <= 0.07
    assert max(report.family_exact, report.family_score) <= 0.08


@pytest.mark.parametrize("prompts", [6, pytest.param(10, marks=pytest.mark.slow)])
def test_prompts_that_matter_are_covered(prompts: int) -> None:
    assert 0.91 <= simulate(Design(500, prompts, 0.2, 0.3, spread=0.03), 300, seed=0, resamples=500).coverage <= 0.98


def test_the_command_prints_a_line_a_design(capsys: pytest.CaptureFixture[str]) -> None:
    called("simulate", "rounds=2", "design=[1,13]")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["1", "13"]
    assert len({line.count("|") for line in lines}) == 1
    for wrong in ("rounds=0", "design=[99]"):
        with pytest.raises(UserError, match="give"):
            called("simulate", wrong)
