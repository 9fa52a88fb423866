"""pass@k and the majority vote: the unbiased estimator, votes by hand, and planted solve rates."""

from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
import pytest

from fmtbench.analysis.statistics.repeats import as_votes, majority, pass_at_k
from fmtbench.analysis.tables.main import accuracy_table
from fmtbench.analysis.tables.samples import samples_table
from fmtbench.errors import UserError
from tests.made_rows import coins, made_rows


def test_pass_at_k_is_the_mean_over_all_choices_of_k() -> None:
    for n, c, k in ((5, 2, 3), (8, 1, 4), (8, 8, 8), (6, 0, 2), (7, 5, 3), (4, 1, 1)):
        chosen = [any(one < c for one in some) for some in combinations(range(n), k)]
        (found,) = pass_at_k(np.array([c]), np.array([n]), k)
        assert found == pytest.approx(np.mean(chosen), abs=1e-12)
        assert found == pytest.approx(1 - comb(n - c, k) / comb(n, k), abs=1e-12)
    assert np.isnan(pass_at_k(np.array([2]), np.array([3]), 4)).all(), "four of three samples cannot be drawn"


def test_pass_at_k_is_unbiased_where_the_plain_estimate_is_not() -> None:
    rng, p, n, k = np.random.default_rng(0), 0.3, 6, 4
    right = rng.binomial(n, p, 200_000)
    truth = 1 - (1 - p) ** k
    assert pass_at_k(right, np.full_like(right, n), k).mean() == pytest.approx(truth, abs=0.002)
    assert abs((1 - (1 - right / n) ** k).mean() - truth) > 0.01


@pytest.mark.parametrize(
    ("votes", "right", "expected"),
    [
        (["7", "7", "8"], [1, 1, 0], 1.0),
        (["7", "8", "8"], [1, 0, 0], 0.0),
        (["7", "8"], [1, 0], 0.5),
        (["7", "8", "9"], [1, 0, 0], 1 / 3),
        ([None, None, "7"], [0, 0, 1], 1.0),
        ([None, None, None], [0, 0, 0], 0.0),
        (["7", "7.0", "8", "8"], [1, 1, 0, 0], 0.5),
        (["eight", "8", "7", "7", "7"], [0, 0, 1, 1, 1], 1.0),
    ],
)
def test_votes(votes: list[str | None], right: list[int], expected: float) -> None:
    found = majority(np.zeros(len(votes), dtype=np.int64), pd.Series(votes, dtype=object), np.array(right, dtype=bool))
    assert found == pytest.approx([expected])


def test_answers_vote_as_what_they_say() -> None:
    numbers = as_votes(pd.Series(["1,000", "1000.0", "$1000", None, "no idea"]), pd.Series(["3", "12.5"]))
    assert numbers[0] == numbers[1] == numbers[2] != numbers[4]
    assert pd.isna(numbers[3])
    words = as_votes(pd.Series(["Joy", " joy ", "fear"]), pd.Series(["joy", "fear"]))
    assert words[0] == words[1] != words[2]


def test_planted_solve_rates() -> None:
    """Items that are solved in 70% or in 30% of the samples, and wrong in one way or in many: the vote helps the first, hurts the
    second where all its errors agree, and helps it where they do not."""
    solved, hard = coins(1, 400, 2, 9, p=0.7), coins(2, 400, 2, 9, p=0.3)
    many = np.random.default_rng(3).integers(2, 1000, hard.shape).astype(str)
    rows = made_rows(
        {"solved": solved, "agreed": hard, "scattered": hard},
        answer={"solved": np.where(solved, "1", "2"), "agreed": np.where(hard, "1", "2"), "scattered": np.where(hard, "1", many)},
    )
    table = samples_table(rows, draws=300).set_index(["condition", "measure"])
    assert (table.samples == 9).all()
    assert table.strict["solved", "pass@1"] == pytest.approx(0.7, abs=0.02)
    assert table.strict["solved", "pass@4"] == pytest.approx(1 - 0.3**4, abs=0.02)
    assert table.strict["solved", "majority@9"] == pytest.approx(0.901, abs=0.03)
    assert table.strict["agreed", "majority@9"] == pytest.approx(1 - 0.901, abs=0.03)
    assert table.strict["scattered", "majority@9"] > 0.75
    main = accuracy_table(rows, draws=200).set_index("condition")
    for name in ("solved", "agreed"):
        assert table.strict[name, "pass@1"] == pytest.approx(main.strict[name], abs=1e-12), "one of one is the accuracy"
        assert (table.strict_low[name] <= table.strict[name]).all()
        assert (table.strict[name] <= table.strict_high[name]).all()


def test_with_one_sample_there_is_no_such_table() -> None:
    with pytest.raises(UserError, match="every item has one sample"):
        samples_table(made_rows({"free_cot": coins(1, 30, 2)}))
    table = samples_table(made_rows({"free_cot": coins(1, 30, 1, 2), "direct": coins(2, 30, 1, 1)}), draws=200)
    assert set(table.condition) == {"free_cot"}
