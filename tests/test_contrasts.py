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


@pytest.mark.parametrize("table", [(5, 9), (0, 7), (40, 35)])
def test_mid_p_is_that_of_its_definition(table: tuple[int, int]) -> None:
    """Fagerland, Lydersen and Laake 2013: twice the smaller tail, less the probability of what was seen."""
    ours, base = table
    least, both = min(table), ours + base
    expected = 2 * stats.binom.cdf(least, both, 0.5) - stats.binom.pmf(least, both, 0.5)
    assert sign_test(np.repeat([1.0, -1.0], [ours, base])).p_mid == pytest.approx(expected, abs=1e-9)
    equal = sign_test(np.repeat([1.0, -1.0], 12)).p_mid
    assert equal == pytest.approx(1 - stats.binom.pmf(12, 24, 0.5) / 2, abs=1e-9)


def test_averages_are_tested_like_whole_numbers() -> None:
    totals = np.random.default_rng(0).integers(-3, 4, 60).astype(float)
    assert sign_test(totals / 6) == pytest.approx(sign_test(totals), abs=1e-12)
    assert sign_test(totals * 2) == pytest.approx(sign_test(totals), abs=1e-12)


def test_the_test_keeps_its_level_where_the_reference_has_more_samples() -> None:
    """Two free samples against one reply under each of two prompts; solve rates from near 0 to near 1."""
    rng = np.random.default_rng(5)
    rejected = []
    for _ in range(1500):
        rate = rng.beta(0.4, 0.9, 100)[:, None]
        free, ours = (rng.random((100, 2 * many)) < rate for many in (2, 1))
        rejected.append(sign_test(ours.sum(1) - free.sum(1) / 2).p_mid < 0.05)
    assert 0.03 <= np.mean(rejected) <= 0.07


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
    assert table.p_adjusted.to_numpy()[1:] == pytest.approx(multipletests(table.p_mcnemar[1:], method="holm")[1], abs=1e-9)
    with pytest.raises(UserError, match="planned contrast"):
        contrast_table(two(), planned=[{"conditions": "json_schema"}])


def test_a_planned_condition_that_nobody_knows_is_named() -> None:
    with pytest.raises(UserError, match="condition json_shema, which is unknown: did you mean json_schema"):
        contrast_table(two(), planned=["json_shema"])
    assert not contrast_table(two(), planned=["sham"], presets={"sham": {}}).planned.any(), "known, and not run yet"


def test_a_family_is_a_backbone_and_task_unless_said_otherwise() -> None:
    both = pd.concat([two(), two().assign(task="u")])
    ours, one = (contrast_table(both, planned=["json_schema", "direct"], family=family) for family in (("backbone", "task"), ()))
    for _, group in ours.groupby("task"):
        assert group.p_adjusted.to_numpy() == pytest.approx(multipletests(group.p_mcnemar, method="holm")[1], abs=1e-9)
    assert one.p_adjusted.to_numpy() == pytest.approx(multipletests(one.p_mcnemar, method="holm")[1], abs=1e-9)
    assert (one.p_adjusted >= ours.p_adjusted).all()
    with pytest.raises(UserError, match="family="):
        contrast_table(both, family=["tasks"])


def test_nulls_and_floors_take_no_part_in_a_family() -> None:
    rows = made_rows({"free_cot": coins(1, 90), "json_schema": coins(2, 90), "sham": coins(1, 90)})
    axes = {"free_cot": {}, "json_schema": {"enforced": "schema"}, "sham": {"enforced": "sham"}}
    table = contrast_table(rows, planned=["json_schema", "sham"], axes=axes).set_index("condition")
    assert np.isnan(table.p_adjusted.sham)
    assert table.p_adjusted.json_schema == table.p_mcnemar.json_schema
    assert list(table.correction[["json_schema", "sham"]]) == ["holm", ""]


def test_two_zeros_are_a_floor_and_not_equivalent() -> None:
    nothing = np.zeros(500)
    rows = made_rows({"free_cot": nothing, "json_schema": nothing}, latent_correct={"free_cot": coins(1, 500)})
    (line,) = contrast_table(rows).itertuples()
    assert line.floor
    assert not line.latent_floor, "the lenient reader found something"
    assert not line.equivalent
    assert np.isnan(line.p_adjusted)
    assert "floor" in line.mark


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


def test_bootstrap_agrees_with_scipy() -> None:
    values = np.random.default_rng(9).normal(0.1, 1, 400)
    sums = Sums(values[:, None, None], np.ones((400, 1, 1)))
    low, high = bootstrap(sums, 20_000, constant_K=np.array([True])).interval()
    theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(0))
    assert (low[0], high[0]) == pytest.approx(theirs.confidence_interval, abs=0.005)


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
    assert 0.025 <= report.size_mid <= 0.065
    assert 0.03 <= report.size_score <= 0.07
    assert max(report.family_exact, report.family_mid, report.family_score) <= 0.08


def test_the_command_prints_a_line_a_design(capsys: pytest.CaptureFixture[str]) -> None:
    called("simulate", "rounds=2", "design=[1,13]")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in lines if line] == ["", "--:", "1", "", "--:", "13"]
    assert [len({line.count("|") for line in some}) for some in (lines[:3], lines[4:])] == [1, 1]
    for wrong in ("rounds=0", "design=[999]"):
        with pytest.raises(UserError, match="give"):
            called("simulate", wrong)
