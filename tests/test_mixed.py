"""The mixed logistic model: agreement with conditional logistic regression, a known effect, honesty about size."""

import numpy as np
import pytest
from statsmodels.discrete.conditional_models import ConditionalLogit

from fmtbench.analysis.tables import mixed
from fmtbench.analysis.tables.contrasts import contrast_table
from fmtbench.analysis.tables.mixed import fit, mixed_table
from fmtbench.errors import UserError
from tests.made_rows import coins, made_rows


def drawn(items: int, prompts: int, effect: float, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Verdicts, sides, items and prompts, from the model itself."""
    rng = np.random.default_rng(seed)
    item, prompt = (codes.ravel() for codes in np.indices((items, prompts)))
    odds = rng.normal(0.3, 1.5, items)[item] + rng.normal(0, 0.3, prompts)[prompt]
    ours, base = ((rng.random(len(item)) < 1 / (1 + np.exp(-(odds + side)))).astype(float) for side in (effect / 2, -effect / 2))
    return np.concatenate([ours, base]), np.repeat([0.5, -0.5], len(ours)), np.tile(item, 2), np.tile(prompt, 2)


@pytest.mark.filterwarnings("ignore:Dropped")
def test_agrees_with_conditional_logistic_regression() -> None:
    right, side, item, prompt = drawn(150, 1, -0.8)
    theirs = ConditionalLogit(right, side[:, None], groups=item).fit(disp=0)
    found = fit(right, side, item, prompt)
    assert found.converged
    assert found.effect == pytest.approx(theirs.params[0], abs=0.25 * theirs.bse[0])
    assert np.isnan(found.prompt_sd)


def test_a_known_effect_is_found() -> None:
    found = fit(*drawn(150, 4, -0.8, seed=1))
    assert abs(found.effect + 0.8) < 2.5 * found.sd
    assert 0.8 < found.item_sd < 2.2


def test_table_is_of_the_planned_contrasts_and_the_same_twice() -> None:
    rows = made_rows({"free_cot": coins(1, 60, p=0.7), "json_schema": coins(2, 60), "direct": coins(3, 60)})
    table = mixed_table(rows, planned=["json_schema"])
    assert list(table.condition) == ["json_schema"]
    assert table.odds_ratio_low[0] < table.odds_ratio[0] < table.odds_ratio_high[0]
    assert table.equals(mixed_table(rows, planned=["json_schema"]))
    assert len(mixed_table(rows)) == 2


def test_a_large_study_says_so_instead_of_taking_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixed, "MOST_PAIRS", 30)
    rows = made_rows({"free_cot": coins(1, 40), "json_schema": coins(2, 40)})
    with pytest.raises(UserError, match="ask with table=mixed"):
        mixed_table(rows)
    assert len(mixed_table(rows, asked=True)) == 1


def test_without_the_reference_there_is_nothing_to_fit() -> None:
    with pytest.raises(UserError, match="no condition shares an item with free_cot"):
        mixed_table(made_rows({"direct": coins(1, 9)}))


def test_where_all_verdicts_are_the_same_there_is_nothing_to_fit() -> None:
    (line,) = mixed_table(made_rows({"free_cot": [0] * 20, "json_schema": [0] * 20})).itertuples()
    assert np.isnan([line.odds_ratio, line.odds_ratio_low, line.odds_ratio_high, line.item_sd]).all()
    assert (line.pairs, line.converged) == (20, False)


def test_where_one_side_is_never_right_alone_there_is_no_number() -> None:
    """The exact interval has no upper end; a prior would give it one."""
    rows = made_rows({"free_cot": [0] * 60 + [1] * 20, "json_schema": [0] * 20 + [1] * 60})
    (line,) = mixed_table(rows).itertuples()
    assert np.isnan([line.odds_ratio, line.odds_ratio_low, line.odds_ratio_high]).all()
    assert line.note.startswith("separated")
    (exact,) = contrast_table(rows).itertuples()
    assert np.isinf(exact.odds_high)


def test_every_sample_counts() -> None:
    free = coins(1, 60, 2, 2, p=0.6)
    both, first = (
        mixed_table(made_rows({"free_cot": some, "direct": coins(2, 60, 2)})).iloc[0] for some in (free, free[:, :, :1])
    )
    assert both.odds_ratio != first.odds_ratio
    assert np.log(both.odds_ratio_high / both.odds_ratio_low) < np.log(first.odds_ratio_high / first.odds_ratio_low)


def test_rounding_does_not_reach_the_digits_that_are_printed() -> None:
    """The same verdicts in another order are summed in another order, as on another processor."""
    verdicts = drawn(80, 3, -2.5, seed=3)
    shuffled = np.random.default_rng(0).permutation(len(verdicts[0]))
    one, other = fit(*verdicts), fit(*(column[shuffled] for column in verdicts))
    assert one[:4] == pytest.approx(other[:4], rel=1e-10)
    assert one.converged
    assert other.converged
