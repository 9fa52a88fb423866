"""A mixed logistic model to check the differences in accuracy: is the conclusion the same on the log-odds scale?

    logit P(right) = intercept + effect * (condition rather than reference) + item + prompt

with normal item and prompt effects. statsmodels' `BinomialBayesMixedGLM` fits it by mean-field variational Bayes, with a weak
normal prior on the effect (standard deviation 5) and a lognormal one on the two standard deviations. The interval is the 95%
credible interval of that approximation, which is known to be slightly too narrow: a sensitivity analysis, not a second test.

Where one side is never right alone, the odds have no finite estimate, and whatever a prior makes of them is not a finding: such
a contrast has no number here. The exact interval of its odds is in the contrasts table.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import optimize, sparse, stats

from fmtbench.analysis.statistics.cube import Array, Cube, Index, cell_index, cells, cubes
from fmtbench.analysis.statistics.pairs import Pair, difference_KU, pairs_of, planned_pairs
from fmtbench.conditions.axes import REFERENCE
from fmtbench.errors import UserError

MOST_PAIRS = 2_000
"""The most pairs of verdicts in a contrast that is fitted without being asked for: these take a second or two each."""
NEAR = {"maxiter": 20_000, "maxfun": 100_000, "ftol": 1e-15, "gtol": 1e-9, "maxcor": 30}
"""Tolerances of the minimiser, before `_at_the_optimum` takes over."""
PRIOR = {"vcp_p": 1.0, "fe_p": 5.0}


class MixedEffect(NamedTuple):
    """Effect as log odds ratio, and the standard deviations of items and prompts (NaN with one prompt)."""

    effect: float
    sd: float
    item_sd: float
    prompt_sd: float
    converged: bool


NOTHING = MixedEffect(effect=np.nan, sd=np.nan, item_sd=np.nan, prompt_sd=np.nan, converged=False)
"""Where there is nothing to fit, or no trustworthy interval."""
SAME, SEPARATED = "all verdicts are the same", "separated: only one side is ever right alone; see the exact odds of the contrasts"
STRAYED = "the optimum was not found"


def mixed_table(
    rows: pd.DataFrame, reference: str = REFERENCE, planned: Sequence[Mapping[str, str] | str] = (), asked: bool = False
) -> pd.DataFrame:
    """One row for each backbone, task and contrast: the planned ones, or all against the reference where none is planned.

    `odds_ratio`, `odds_ratio_low`, `odds_ratio_high`; `item_sd`, `prompt_sd` on the log-odds scale; `converged`: the
    optimum was found; NaN where it was not, where all verdicts are the same, and where one side is never right alone, as
    `note` says. All samples count. Contrasts of more than `MOST_PAIRS` pairs are fitted only if `asked`. Raises
    `UserError` where none is left.
    """
    wanted = planned_pairs(planned, reference)
    contrasts = [(one, pair) for one in cubes(rows) for pair in _pairs(one, reference, wanted)]
    small = [(one, pair) for one, pair in contrasts if asked or int(_shared(one, pair).sum()) <= MOST_PAIRS]
    if not contrasts:
        raise UserError(f"no condition shares an item with {reference}")
    if not small:
        raise UserError(
            f"all {len(contrasts)} contrasts have more than {MOST_PAIRS} pairs, minutes of fitting: ask with table=mixed"
        )
    return pd.DataFrame([line for one, pair in small for line in _line(one, pair)])


def _pairs(one: Cube, reference: str, wanted: Sequence[Pair]) -> list[Pair]:
    pairs = [pair for pair in pairs_of(one, reference, wanted) if _shared(one, pair).any()]
    return [pair for pair in pairs if pair in wanted] or pairs


def _shared(one: Cube, pair: Pair) -> Any:
    return np.isfinite(one.strict_CU[one.at(pair.condition)] - one.strict_CU[one.at(pair.reference)])


def _line(one: Cube, pair: Pair) -> Iterator[dict[str, Any]]:
    found, note = _found(one, pair)
    ends = np.exp(stats.norm.ppf([0.025, 0.975], found.effect, found.sd))
    shared = _shared(one, pair)
    yield {
        "backbone": one.backbone,
        "task": one.task,
        "condition": pair.condition,
        "reference": pair.reference,
        "n": len(np.unique(one.item_U[shared])),
        "pairs": int(shared.sum()),
        "odds_ratio": float(np.exp(found.effect)),
        "odds_ratio_low": ends[0],
        "odds_ratio_high": ends[1],
        "item_sd": found.item_sd,
        "prompt_sd": found.prompt_sd,
        "converged": found.converged,
        "note": note,
    }


def _found(one: Cube, pair: Pair) -> tuple[MixedEffect, str]:
    """The effect, and why there is none."""
    averaged = cells(one)
    difference_U = difference_KU(averaged, [pair])[0]
    if not (difference_U > 0).any() or not (difference_U < 0).any():
        verdicts = averaged.strict_CU[[averaged.at(name) for name in pair]][:, np.isfinite(difference_U)]
        return NOTHING, SAME if len(np.unique(verdicts)) < 2 else SEPARATED
    index_U, _ = cell_index(one)
    there = np.isfinite(difference_U)[index_U]
    score = one.strict_CU[[one.at(name) for name in pair]]
    side, unit = np.nonzero(np.isfinite(score) & there)
    item, prompt = (np.unique(codes[unit], return_inverse=True)[1] for codes in (one.item_U, one.prompt_U))
    found = fit(score[side, unit], np.where(side == 0, 0.5, -0.5), item, prompt)
    return (found, "") if found.converged else (NOTHING, STRAYED)


def fit(right: Array, side: Array, item: Index, prompt: Index) -> MixedEffect:
    """`right`: verdicts of U replies; `side`: 0.5 for the condition and -0.5 for the reference; `item`, `prompt`: their numbers
    from 0."""
    from statsmodels.genmod.bayes_mixed_glm import BinomialBayesMixedGLM

    groups = [item, prompt] if prompt.max() > 0 else [item]
    design = sparse.hstack([_indicators(codes) for codes in groups], format="csr")
    kinds = np.repeat(np.arange(len(groups)), [int(codes.max()) + 1 for codes in groups])
    model = BinomialBayesMixedGLM(right, np.column_stack([np.ones(len(right)), side]), design, kinds, **PRIOR)
    size = 2 + len(groups) + design.shape[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `_at_the_optimum` decides whether it converged
        near = model.fit_vb(mean=np.zeros(size), sd=np.full(size, 0.6), fit_method="L-BFGS-B", minim_opts=NEAR)
    mean, sd, converged = _at_the_optimum(model, near.params, np.sqrt(near.cov_params()))
    spread = np.exp(mean[2 : 2 + len(groups)])
    return MixedEffect(
        effect=float(mean[1]),
        sd=float(sd[1]),
        item_sd=float(spread[0]),
        prompt_sd=float(spread[1]) if len(groups) > 1 else float("nan"),
        converged=converged,
    )


def _at_the_optimum(model: Any, mean: Array, sd: Array) -> tuple[Array, Array, bool]:
    """Means and standard deviations at which the gradient vanishes, starting close to them, and whether they were found.

    A minimiser stops where the objective no longer changes, which determines the parameters only to the square root of its
    rounding: the fourth digit of an odds ratio then depends on the processor. The root of the gradient has no such slack.
    """
    size = len(mean)

    def gradient(point: Array) -> Array:
        by_mean, by_sd = model.vb_elbo_grad(point[:size], np.exp(point[size:]))
        return np.concatenate([by_mean, by_sd * np.exp(point[size:])])

    found = optimize.root(gradient, np.concatenate([mean, np.log(sd)]), method="krylov", options={"fatol": 1e-11, "maxiter": 50})
    return found.x[:size], np.exp(found.x[size:]), bool(found.success)


def _indicators(codes: Index) -> Any:
    return sparse.csr_matrix((np.ones(len(codes)), (np.arange(len(codes)), codes)))
