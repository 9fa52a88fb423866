"""Intervals for these prompts and for prompts like these: agreement with a mixed model, coverage, and nothing impossible."""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from fmtbench.analysis.statistics.prompts import GRID, Spread, mean_squares, sd_weights
from fmtbench.analysis.statistics.simulated_prompts import PromptDesign, simulate_prompts
from fmtbench.analysis.tables.contrasts import contrast_table
from fmtbench.analysis.tables.cost import cost_table
from fmtbench.analysis.tables.decomposition import decomposition_table
from fmtbench.analysis.tables.lockin import lockin_table
from fmtbench.analysis.tables.main import accuracy_table
from tests.made_rows import coins, made_rows

TWELVE = Path(__file__).parent / "cases" / "prompts" / "twelve_conditions.csv"
"""Verdicts of 100 items under 12 conditions and 2 prompts, from the committed study (Qwen, gsm8k, latent, first sample)."""
LMER = (-0.224, 0.014)
"""What lme4 gives for json_schema minus free_cot from all twelve: -10.5 points, 12.4 degrees of freedom."""


def twelve() -> dict[str, np.ndarray]:
    table = pd.read_csv(TWELVE, dtype=str)
    verdicts = {name: [list(map(int, line)) for line in group["verdicts"]] for name, group in table.groupby("condition")}
    return {name: np.transpose(some) for name, some in verdicts.items()}


def test_agrees_with_a_mixed_model_of_all_conditions() -> None:
    line = contrast_table(made_rows(twelve())).set_index("condition").loc["json_schema"]
    assert line.difference == pytest.approx(-0.105, abs=1e-12)
    assert (line.low, line.high) == pytest.approx((-0.166, -0.041), abs=0.005)
    assert (line.general_low, line.general_high) == pytest.approx(LMER, abs=0.015)
    assert line.by_prompt == "-5.0, -16.0"
    assert line.p_mcnemar < 0.005


def test_a_second_prompt_is_no_reason_for_an_interval_that_says_nothing() -> None:
    table = contrast_table(made_rows(twelve()))
    assert (table.general_high - table.general_low).max() < 0.3
    assert (table.general_high - table.general_low >= table.high - table.low - 0.002).all()


def test_mean_squares_agree_with_statsmodels() -> None:
    score_CIP = np.random.default_rng(0).random((4, 6, 3))
    cells = pd.DataFrame([(*at, score_CIP[at]) for at in product(range(4), range(6), range(3))], columns=["c", "i", "p", "score"])
    table = anova_lm(ols("score ~ C(c) + C(i) + C(p) + C(c):C(i) + C(c):C(p) + C(i):C(p)", cells).fit())
    found = mean_squares(score_CIP)
    assert found.interaction == pytest.approx(table.mean_sq["C(c):C(p)"], abs=1e-9)
    assert found.noise == pytest.approx(table.mean_sq["Residual"], abs=1e-9)
    assert (found.freedom, found.items) == (table.df["C(c):C(p)"], 6)


@pytest.mark.parametrize("sd", [0.0, 0.02, 0.06])
def test_a_planted_spread_is_found(sd: float) -> None:
    rng = np.random.default_rng(1)
    rate_CP = 0.5 + sd / np.sqrt(2) * rng.standard_normal((24, 8)) + 0.1 * rng.standard_normal(8)
    weight_G = sd_weights((rng.random((24, 400, 8)) < rate_CP[:, None]).astype(float))
    low, middle, high = Spread(weight_G, 8).quantile(0.005, 0.5, 0.995)
    assert low <= max(sd, 0.002) <= high
    assert middle == pytest.approx(sd, abs=0.015)


def test_without_prompts_or_conditions_there_is_only_the_prior() -> None:
    prior = sd_weights(np.zeros((1, 5, 1)))
    for shape in ((3, 5, 1), (1, 5, 3), (3, 1, 3)):
        assert sd_weights(np.zeros(shape)) == pytest.approx(prior)
    assert GRID @ prior == pytest.approx(0.05 * np.sqrt(2 / np.pi), rel=0.05), "the mean of a half-normal"


def test_with_one_prompt_the_second_interval_is_empty_and_that_is_said() -> None:
    (line,) = contrast_table(made_rows({"free_cot": coins(1, 60), "direct": coins(2, 60)})).itertuples()
    assert np.isnan([line.general_low, line.general_high, line.latent_general_low, line.prompt_sd]).all()
    assert np.isfinite([line.low, line.high]).all()
    assert "one prompt" in line.note


@pytest.mark.parametrize(
    ("design", "studies"),
    [(PromptDesign(500, 2, 2, 0.05), 250), (PromptDesign(500, 2, 7, 0.03), 60), (PromptDesign(100, 4, 12, 0.05), 40)],
)
def test_both_intervals_cover_their_own_truth(design: PromptDesign, studies: int) -> None:
    """The short version of experiments.simulate. The interval for these prompts does not hold the mean over all prompts."""
    found = simulate_prompts(design, studies, seed=2, resamples=500)
    assert 0.91 <= found.these_coverage <= 0.98
    assert 0.90 <= found.general_coverage <= 0.99
    assert found.narrow_coverage < found.general_coverage - 0.05
    assert found.general_width < 0.12


def random_study(seed: int) -> pd.DataFrame:
    """Any number of items, prompts and samples, few right answers, and conditions that lack some cells."""
    rng = np.random.default_rng(seed)
    items, prompts, samples = (int(rng.integers(*ends)) for ends in ((3, 60), (1, 4), (1, 4)))
    names = ("free_cot", "json_prompt", "json_schema", "direct")
    rates = rng.choice([0.0, 0.03, 0.3, 0.7, 1.0], len(names))
    shapes = [(items, prompts, samples if name == "free_cot" else int(rng.integers(1, 3))) for name in names]
    strict = {name: rng.random(shape) < rate for name, shape, rate in zip(names, shapes, rates)}
    latent = {name: right | (rng.random(right.shape) < 0.1) for name, right in strict.items()}
    status = {name: np.where(right | (rng.random(right.shape) < 0.8), "ok", "truncated") for name, right in strict.items()}
    gold = {name: np.where(np.indices(right.shape)[0] % 2, "yes", "no") for name, right in strict.items()}
    tokens = {name: rng.integers(1, 400, right.shape) for name, right in strict.items()}
    rows = made_rows(strict, latent_correct=latent, status=status, gold=gold, answer=gold, completion_tokens=tokens)
    return rows[(rows.condition == "free_cot") | (rng.random(len(rows)) < 0.9)]


AXES = {
    "free_cot": {},
    "json_prompt": {"asked": "json"},
    "json_schema": {"asked": "json", "enforced": "schema"},
    "direct": {"reasoning": "none"},
}


@pytest.mark.parametrize("seed", range(25))
def test_every_table_prints_the_same_number_for_the_same_quantity(seed: int) -> None:
    rows = random_study(seed)
    main = accuracy_table(rows, draws=300).set_index("condition")
    contrasts = contrast_table(rows, draws=300).set_index("condition")
    parts = decomposition_table(rows, AXES, draws=300).pivot(
        index="condition", columns="component", values=["value", "low", "high"]
    )
    for name, line in contrasts.iterrows():
        for reading, latent in (("strict", ""), ("latent", "latent_")):
            for end, other in (("", "difference"), ("_low", "low"), ("_high", "high")):
                assert main[f"{reading}_diff{end}"][name] == line[f"{latent}{other}"]
        assert parts["value", "total"][name] == pytest.approx(-line.difference, abs=1e-12)
        assert (parts["low", "total"][name], parts["high", "total"][name]) == pytest.approx((-line.high, -line.low), abs=1e-12)
        assert line.accuracy - line.reference_accuracy == pytest.approx(line.difference, abs=1e-12)
        if line.pairs == len(rows[rows.condition == name][["item_id", "prompt"]].drop_duplicates()):
            assert main.strict[name] == pytest.approx(line.accuracy, abs=1e-12)
        if line.pairs == len(rows[["item_id", "prompt"]].drop_duplicates()):
            assert main.strict[name] - main.strict["free_cot"] == pytest.approx(line.difference, abs=1e-12)


POSSIBLE = {
    **dict.fromkeys(("strict", "latent", "macro_f1", "lockin", "unlock", "floor"), (0, 1)),
    **dict.fromkeys(("strict_diff", "latent_diff", "excess"), (-1, 1)),
    **dict.fromkeys(("tokens_per_correct", "odds"), (0, np.inf)),
}


@pytest.mark.parametrize("seed", range(25))
def test_no_interval_leaves_what_is_possible(seed: int) -> None:
    rows = random_study(seed)
    contrasts = contrast_table(rows, draws=300)
    odds = contrasts[["odds_low", "odds_high"]]
    for table in (accuracy_table(rows, draws=300), cost_table(rows, draws=300), lockin_table(rows, AXES, draws=300), odds):
        for name, (least, most) in POSSIBLE.items():
            if f"{name}_low" in table:
                low, high = table[f"{name}_low"].dropna(), table[f"{name}_high"].dropna()
                assert low.between(least, most).all(), name
                assert high.between(least, most).all(), name
                assert (low <= high).all(), name
    for ends in ("low", "high", "general_low", "general_high", "latent_low", "latent_general_high"):
        assert contrasts[ends].dropna().between(-1, 1).all()
