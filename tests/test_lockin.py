"""Lock-in, dose and cost on rows whose answers are known."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fmtbench.analysis.statistics.cube import Cube, sums
from fmtbench.analysis.tables.cost import area, cost_table, frontier
from fmtbench.analysis.tables.dose import dose_table, horizontal_shift
from fmtbench.analysis.tables.failures import failure_table
from fmtbench.analysis.tables.lockin import lockin_table, posterior_locked, rate_units, same_words
from fmtbench.analysis.tables.replication import published, replication_table
from fmtbench.errors import UserError
from tests.conftest import options
from tests.made_rows import coins, made_rows

AXES = {
    "free_cot": {"reasoning": "free"},
    "direct": {"reasoning": "none", "order": "answer_only"},
    "restricted_cot_25": {"reasoning": "budget", "words": 25},
    "json_schema": {"asked": "json", "enforced": "schema"},
    "json_schema_answer_first": {"asked": "json", "enforced": "schema", "order": "answer_first"},
}


@pytest.mark.parametrize("seed", range(4))
def test_the_loss_is_lockin_less_unlock(seed: int) -> None:
    rows = made_rows({"free_cot": coins(seed, 70, 2, 2, p=0.7), "json_schema": coins(seed + 9, 70, 2, 2)})
    (line,) = lockin_table(rows, AXES, draws=100).itertuples()
    free, ours = (rows[rows.condition == name].correct.mean() for name in ("free_cot", "json_schema"))
    assert free - ours == pytest.approx(free * line.lockin - (1 - free) * line.unlock, abs=1e-12)


def test_noise_is_not_called_lockin() -> None:
    solve = np.random.default_rng(0).random((800, 1, 1))
    rng = np.random.default_rng(1)
    rows = made_rows({name: rng.random((800, 1, 4)) < solve for name in ("free_cot", "json_schema")})
    (line,) = lockin_table(rows, AXES, draws=500).itertuples()
    assert line.lockin > 0.25
    assert line.excess == pytest.approx(0, abs=0.03)
    assert line.excess_low < 0 < line.excess_high


def test_a_format_that_changes_nothing_has_no_excess_though_it_shares_the_seed() -> None:
    """The sham's replies are those of the first free sample, word for word."""
    free = coins(3, 60, 2, 2, p=0.4)
    (line,) = lockin_table(made_rows({"free_cot": free, "sham": free[:, :, :1]}), AXES, draws=200).itertuples()
    assert line.lockin == line.floor > 0.3
    assert (line.excess, line.excess_low, line.excess_high) == (0, 0, 0)


def test_both_directions_of_two_free_samples_are_used() -> None:
    """Replies that share nothing with the free ones: exchanging the free samples changes nothing, and the excess is unbiased
    with at least a quarter less variance than from one direction."""
    rng = np.random.default_rng(3)
    both, one = [], []
    for _ in range(1000):
        rate = rng.beta(0.7, 1.4, 100)[:, None, None] * np.ones((1, 2, 1))
        free, ours = (rng.random((100, 2, many)) < rate for many in (2, 1))
        drawn = made_cube(free, ours)
        both.append(excess(drawn, apart=False))
        one.append(excess(drawn, apart=True))
        assert excess(made_cube(free[:, :, ::-1], ours), apart=False) == pytest.approx(both[-1], abs=1e-12)
    assert abs(np.mean(both)) < 3 * np.std(both) / np.sqrt(len(both))
    assert np.var(one) / np.var(both) > 1.2


def made_cube(free: Any, ours: Any) -> Cube:
    """Of verdicts as items x prompts x samples, of which ours has one."""
    item, prompt, sample = (index.ravel() for index in np.indices(free.shape))
    ours = np.where(np.arange(free.shape[2]) == 0, ours, np.nan)
    scores = np.vstack([free.ravel(), ours.ravel()]).astype(float)
    return Cube("b", "t", ("free_cot", "json_schema"), *[scores] * 6, item, prompt, sample)


def excess(one: Cube, apart: bool) -> float:
    units = rate_units(one, "json_schema", "free_cot", apart)
    lockin, _, floor = sums(units.values_KU, one, units.weights_KU).means()
    return float(lockin - floor)


def test_only_a_condition_that_shows_the_same_words_leaves_its_own_free_sample_out() -> None:
    axes = AXES | {"sham": {"enforced": "sham"}, "json_schema_unasked": {"enforced": "schema"}}
    apart = [name for name in axes if name != "free_cot" and same_words(name, "free_cot", axes)]
    assert apart == ["sham", "json_schema_unasked"]
    assert same_words("mine", "free_cot", axes), "nothing is known of it"


def test_one_sample_has_no_floor_and_says_so() -> None:
    (line,) = lockin_table(made_rows({"free_cot": coins(1, 50), "json_schema": coins(2, 50)}), AXES, draws=100).itertuples()
    assert np.isnan([line.floor, line.excess, line.excess_low]).all()
    assert "need two free samples" in line.note


def test_a_locked_item_is_found() -> None:
    right = np.zeros((10, 1, 12))
    free = right.copy()
    free[0] = 1
    (line,) = lockin_table(made_rows({"free_cot": free, "json_schema": right}), AXES, draws=100).itertuples()
    assert (line.locked_items, line.locked) == (1, 0.1)


def test_with_few_replies_no_item_can_be_locked_and_none_is_said_to_be() -> None:
    assert posterior_locked(0, 6, 6, 6) < 0.95 < posterior_locked(0, 7, 7, 7)
    (line,) = lockin_table(made_rows({"free_cot": coins(1, 30, 2), "json_schema": coins(2, 30, 2)}), AXES, draws=100).itertuples()
    assert np.isnan(line.locked)
    assert "locked needs 7 replies" in line.note


def test_retention_has_an_interval_that_covers() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(60):
        rows = made_rows({"free_cot": rng.random(150) < 0.8, "json_schema": rng.random(150) < 0.6})
        (line,) = lockin_table(rows, AXES, draws=200).itertuples()
        held += line.retention_low <= 0.75 <= line.retention_high
    assert held >= 53


def test_a_gain_and_an_interval_of_no_width_are_said() -> None:
    rows = made_rows({"free_cot": [1] * 60 + [0] * 40, "json_schema": [1] * 90 + [0] * 10})
    (line,) = lockin_table(rows, AXES, draws=100).itertuples()
    assert line.retention > 1
    assert "retention above 100%" in line.note
    free = coins(3, 60, 2, 2, p=0.4)
    (line,) = lockin_table(made_rows({"free_cot": free, "sham": free[:, :, :1]}), AXES, draws=100).itertuples()
    assert "no width" in line.note


def test_posterior_agrees_with_drawing() -> None:
    rng = np.random.default_rng(0)
    drawn = stats.beta(10, 2).rvs(200_000, random_state=rng) - stats.beta(3, 9).rvs(200_000, random_state=rng)
    assert posterior_locked(2, 10, 9, 10) == pytest.approx((drawn > 0.5).mean(), abs=0.005)


def test_order_penalty_and_retention() -> None:
    rows = made_rows(
        {"free_cot": [1] * 80 + [0] * 20, "json_schema": [1] * 60 + [0] * 40, "json_schema_answer_first": [1] * 30 + [0] * 70},
        gold={name: ["yes", "no"] * 50 for name in ("free_cot", "json_schema", "json_schema_answer_first")},
    )
    table = lockin_table(rows, AXES, draws=100).set_index("condition")
    assert table.order_penalty.json_schema_answer_first == pytest.approx(0.3)
    assert np.isnan(table.order_penalty.json_schema)
    assert table.retention.json_schema == pytest.approx((0.6 - 0.5) / (0.8 - 0.5))


def test_retention_near_chance_is_undefined_and_says_so() -> None:
    """Free at 16 of 30 with two labels: a little above guessing, by nothing that 30 items could show."""
    golds = {name: ["yes", "no"] * 15 for name in ("free_cot", "json_schema")}
    rows = made_rows({"free_cot": [1] * 16 + [0] * 14, "json_schema": [1] * 24 + [0] * 6}, gold=golds)
    (line,) = lockin_table(rows, AXES, draws=100).itertuples()
    assert line.chance == 0.5
    assert np.isnan(line.retention)
    assert "retention undefined" in line.note


def test_few_items_with_different_golds_are_no_labels() -> None:
    rows = made_rows({name: coins(1, 6, p=0.9) for name in ("free_cot", "json_schema")}, gold={"free_cot": list("123456")})
    assert set(lockin_table(rows, AXES, draws=100).chance) == {0.0}


def test_without_the_reference_nothing_is_measured() -> None:
    with pytest.raises(UserError, match="no condition shares an item with free_cot"):
        lockin_table(made_rows({"direct": coins(1, 9)}), AXES)


def test_words_lost() -> None:
    prose = [0.0, 10.0, 20.0], [0.2, 0.4, 0.8]
    lost = horizontal_shift([15.0, 30.0, 40.0], [0.3, 0.6, 0.9], *prose)
    assert lost[:2] == pytest.approx([10, 15])
    assert np.isnan(lost[2]), "prose never gets there"


def test_nothing_is_retained_where_nothing_is_known() -> None:
    table = lockin_table(made_rows({"free_cot": np.zeros(24), "direct": np.zeros(24)}), AXES, draws=200)
    assert table.retention.isna().all()
    assert "retention undefined" in table.note[0]


def test_dose_curve() -> None:
    rows = made_rows({name: coins(i, 40) for i, name in enumerate(AXES)})
    table = dose_table(rows, AXES)
    assert list(table[table.format == "text"].budget) == [0, 25, np.inf]
    assert "json_schema_answer_first" not in set(table.condition), "the order of fields is another axis"
    with pytest.raises(UserError, match="needs one format under two budgets"):
        dose_table(rows[rows.condition == "free_cot"], AXES)


def test_cost() -> None:
    rows = made_rows(
        {"free_cot": [1, 1, 1, 0], "direct": [1, 0, 0, 0], "json_prompt": [0] * 4},
        completion_tokens={"free_cot": [40] * 4, "direct": [10] * 4, "json_prompt": [20] * 4},
    )
    table = cost_table(rows, draws=200).set_index("condition")
    assert table.tokens_per_correct["free_cot"] == pytest.approx(160 / 3)
    assert table.tokens_per_correct["json_prompt"] == np.inf
    assert list(table.frontier[["direct", "free_cot", "json_prompt"]]) == [True, True, False]
    assert table.area["direct"] == pytest.approx(0.25 * 30 / 40)


def test_frontier_keeps_equals() -> None:
    tokens, score = np.array([5.0, 5.0, 6.0]), np.array([0.5, 0.5, 0.5])
    assert list(frontier(tokens, score)) == [True, True, False]
    assert area(tokens, score) == pytest.approx(0.5 / 6)


def test_statuses_sum_to_one() -> None:
    rows = made_rows({"free_cot": coins(1, 8)}, status={"free_cot": ["ok"] * 5 + ["loop"] * 2 + ["truncated"]})
    (line,) = failure_table(rows).itertuples()
    assert (line.replies, line.ok, line.loop, line.truncated, line.refused) == (8, 0.625, 0.25, 0.125, 0)


def test_published_numbers_stand_beside_ours() -> None:
    rows = made_rows({"free_cot": coins(1, 30), "json_schema": coins(2, 30)}, task="last_letter")
    table = replication_table(rows, {"last_letter": {"words": 2}})
    assert {"Tam 2024", "Tam 2025", "dottxt 2024", "Castillo 2024"} == set(table.study)
    assert set(replication_table(rows, studies=["Tam 2025"]).study) == {"Tam 2025"}
    assert set(table.setting + " " + table.our_setting) == {"words=4 words=2"}
    assert (table.ours_difference == table.ours - rows[rows.condition == "free_cot"].correct.mean()).all()
    assert set(replication_table(rows).our_setting) == {""}
    with pytest.raises(UserError, match="no published number matches"):
        replication_table(made_rows({"free_cot": coins(1, 30)}))


def test_every_published_number_says_where_it_comes_from() -> None:
    table = published()
    assert table[["study", "model", "task", "condition", "learned", "source"]].notna().all(axis=None)
    assert set(table.provenance) == {"P", "S"}, "what is only remembered is not printed"
    assert table.published.between(0, 1).all()
    assert not table.duplicated(["study", "model", "task", "condition"]).any()
    assert set(" ".join(table.task).split()) <= set(options("task"))
    assert set(" ".join(table.condition).split()) <= set(options("condition"))


def test_one_published_number_stands_beside_every_task_that_asks_the_same() -> None:
    sizes = [f"shuffled_objects_bigbench_{size}" for size in (3, 5, 7)]
    rows = pd.concat(made_rows({"json_mode": coins(1, 20)}, task=task) for task in sizes)
    table = replication_table(rows)
    assert list(table.task) == sizes
    assert set(table.study + ", " + table.model) == {"Tam 2024, gpt-4o-mini"}
    assert table.published_difference.round(4).tolist() == [-0.0642] * 3
    assert table.ours_difference.isna().all(), "nothing was asked freely"


def test_conditions_with_examples_are_compared_with_free_answers_that_have_them() -> None:
    names = ("free_cot", "free_cot_3_shot", "json_prompt_3_shot")
    rows = made_rows({name: coins(seed, 40) for seed, name in enumerate(names)}, task="shuffled_objects")
    table = replication_table(rows, studies=["Castillo 2024"])
    line = table[(table.model == "gpt-4o-mini") & (table.condition == "json_prompt_3_shot")].iloc[0]
    assert line.published_difference == pytest.approx(0.6951 - 0.9268)
    right = rows.groupby("condition").correct.mean()
    assert line.ours_difference == pytest.approx(right["json_prompt_3_shot"] - right["free_cot_3_shot"])
