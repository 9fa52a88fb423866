"""Conditions at equal tokens and at equal lengths: planted truths, and nulls that must show nothing."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from fmtbench.analysis.tables.contrasts import contrast_table
from fmtbench.analysis.tables.equal_tokens import equal_tokens_table
from fmtbench.analysis.tables.length_control import CONSTANT, OUTSIDE, fit, length_control_table
from fmtbench.analysis.tables.main import accuracy_table
from fmtbench.errors import UserError
from tests.made_rows import coins, made_rows


def test_tokens_beyond_the_limit_do_not_count() -> None:
    """The second condition is right whenever it is long; within what the reference spends it never is."""
    right = coins(1, 200, 2, p=0.5)
    short, long = np.random.default_rng(2).integers(10, 50, right.shape), np.full(right.shape, 400)
    rows = made_rows(
        {"free_cot": right, "nl_to_json": right, "twin": right},
        completion_tokens={"free_cot": short, "nl_to_json": long, "twin": short},
    )
    table = equal_tokens_table(rows).set_index(["condition", "of_reference"])
    assert (table.accuracy["nl_to_json"] == 0).all()
    assert table.difference["nl_to_json", 0.9] == pytest.approx(-(right & (short <= np.quantile(short, 0.9))).mean(), abs=1e-12)
    assert (table.difference["twin"] == 0).all(), "the same replies at the same cost differ by nothing"
    assert (table.low["twin"] < 0).all()
    assert (table.high["twin"] > 0).all()
    assert table.difference["free_cot"].isna().all()
    assert table.accuracy["free_cot"].is_monotonic_increasing


def test_a_limit_that_cuts_nothing_leaves_the_accuracies() -> None:
    rows = made_rows({"free_cot": coins(1, 80, 2), "direct": coins(2, 80, 2)}, completion_tokens=10)
    table, main = equal_tokens_table(rows), accuracy_table(rows, draws=200).set_index("condition")
    for line in table.itertuples():
        assert line.accuracy == pytest.approx(main.strict[line.condition], abs=1e-12)
    contrasts = contrast_table(rows, draws=5000).set_index("condition").loc["direct"]
    last = table[table.condition == "direct"].iloc[-1]
    assert last.difference == pytest.approx(contrasts.difference, abs=1e-12)
    assert (last.low, last.high) == pytest.approx((contrasts.low, contrasts.high), abs=0.01)
    with pytest.raises(UserError, match="whose tokens are the measure"):
        equal_tokens_table(rows, reference="sham")


def by_length(rng: np.random.Generator, items: int, direct: float, mean: float = -1.5) -> pd.DataFrame:
    """Verdicts that longer rationales make right, in both conditions alike, and that the format changes by `direct` beyond that.
    Hard items have longer rationales under both, and are solved less often."""
    shape = (items, 2)
    hard = rng.standard_normal((items, 1))
    words: dict[str, Any] = {
        "free_cot": np.round(2 ** (6 + 0.5 * hard + 0.8 * rng.standard_normal(shape))) - 1,
        "json_schema": np.round(2 ** (6 + mean + 0.5 * hard + 0.8 * rng.standard_normal(shape))) - 1,
    }
    rate = {name: 0.08 * (np.log2(1 + some) - 6) - 0.08 * hard + 0.58 for name, some in words.items()}
    rate["json_schema"] = rate["json_schema"] + direct
    verdicts = {name: rng.random(shape) < some.clip(0, 1) for name, some in rate.items()}
    return made_rows(verdicts, reasoning_words=words)


def test_a_difference_that_is_all_length_goes() -> None:
    rng = np.random.default_rng(1)
    lines = pd.concat([length_control_table(by_length(rng, 1500, 0.0)) for _ in range(20)])
    assert lines.difference.mean() == pytest.approx(-0.12, abs=0.01)
    assert lines.adjusted.mean() == pytest.approx(0, abs=0.015)
    assert lines.slope.mean() == pytest.approx(0.08, abs=0.01)


def test_a_difference_beyond_length_stays() -> None:
    (line,) = length_control_table(by_length(np.random.default_rng(2), 1500, -0.1)).itertuples()
    assert line.adjusted_low <= -0.1 <= line.adjusted_high
    assert line.adjusted_high < 0


def test_the_interval_keeps_its_level() -> None:
    rng, rounds = np.random.default_rng(3), 200
    lines = [next(length_control_table(by_length(rng, 150, 0.0, mean=-0.5)).itertuples()) for _ in range(rounds)]
    assert 0.92 <= np.mean([line.adjusted_low <= 0 <= line.adjusted_high for line in lines]) <= 0.98


def test_the_line_is_that_of_statsmodels() -> None:
    import statsmodels.api as sm

    rng = np.random.default_rng(4)
    item, x = np.arange(60).repeat(3), rng.standard_normal(180)
    y = 0.2 * x + rng.standard_normal(60)[item] + rng.standard_normal(180)
    theirs = sm.OLS(y, sm.add_constant(x)).fit(cov_type="cluster", cov_kwds={"groups": item}, use_t=True)
    ours = fit(y, x, item)
    assert (ours.value, ours.slope) == pytest.approx(tuple(theirs.params), abs=1e-9)
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.conf_int()[0]), abs=1e-9)
    assert (ours.slope_low, ours.slope_high) == pytest.approx(tuple(theirs.conf_int()[1]), abs=1e-9)


def test_what_cannot_be_held_equal_says_so() -> None:
    rng = np.random.default_rng(5)
    apart = made_rows(
        {"free_cot": coins(1, 60), "direct": coins(2, 60), "same": coins(3, 60), "none": coins(4, 60)},
        reasoning_words={
            "free_cot": rng.integers(50, 90, 60),
            "direct": rng.integers(1, 5, 60),
            "same": np.full(60, 1),
            "none": np.zeros(60),
        },
    )
    table = length_control_table(apart).set_index("condition")
    assert table.note["direct"] == OUTSIDE
    assert "none" not in table.index, "without a rationale there is no length"
    constant = made_rows({"free_cot": coins(1, 60), "direct": coins(2, 60)})
    line = length_control_table(constant).iloc[0]
    assert line.note == CONSTANT
    assert np.isnan(line.adjusted)
    with pytest.raises(UserError, match="no contrast has rationales"):
        length_control_table(made_rows({"free_cot": coins(1, 60), "direct": coins(2, 60)}, reasoning_words=0))
