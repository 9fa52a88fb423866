"""A mixed logistic model to check the differences in accuracy: is the conclusion the same on the log-odds scale?

    logit P(right) = intercept + effect * (condition rather than reference) + item + prompt

with normal item and prompt effects. statsmodels' `BinomialBayesMixedGLM` fits it by mean-field variational Bayes, with a weak
normal prior on the effect (standard deviation 5) and a lognormal one on the two standard deviations. The interval is the 95%
credible interval of that approximation, which is known to be slightly narrow: a sensitivity analysis, not a second test.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse, stats

from fmtbench.analysis.statistics.cube import Array, Cube, Index, cubes
from fmtbench.analysis.statistics.pairs import Pair, pairs_of, planned_pairs
from fmtbench.conditions.axes import REFERENCE
from fmtbench.errors import UserError

MOST_PAIRS = 2_000
"""Most pairs of verdicts of a contrast that is fitted without being asked for: these take a second or two each."""
PRIOR = {"vcp_p": 1.0, "fe_p": 5.0}


class MixedEffect(NamedTuple):
    """Effect as log odds ratio, and the standard deviations of items and prompts (NaN with one prompt)."""

    effect: float
    sd: float
    item_sd: float
    prompt_sd: float
    converged: bool


NOTHING = MixedEffect(effect=np.nan, sd=np.nan, item_sd=np.nan, prompt_sd=np.nan, converged=False)
"""Where all verdicts are the same, there is nothing to fit."""


def mixed_table(
    rows: pd.DataFrame, reference: str = REFERENCE, planned: Sequence[Mapping[str, str] | str] = (), asked: bool = False
) -> pd.DataFrame:
    """One line for each backbone, task and contrast: the planned ones, or all against the reference where none is.

    `odds_ratio`, `odds_ratio_low`, `odds_ratio_high`; `item_sd`, `prompt_sd` on the scale of log odds; `converged` as the
    optimiser says; NaN where all verdicts are the same. Contrasts of more than `MOST_PAIRS` pairs only if `asked`. Raises
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
    shared = _shared(one, pair)
    ours, base = (one.strict_CU[one.at(name), shared] for name in pair)
    item, prompt = (np.unique(codes[shared], return_inverse=True)[1] for codes in (one.item_U, one.prompt_U))
    found = fit(ours, base, item, prompt) if len(np.unique([ours, base])) > 1 else NOTHING
    ends = np.exp(stats.norm.ppf([0.025, 0.975], found.effect, found.sd))
    yield {
        "backbone": one.backbone,
        "task": one.task,
        "condition": pair.condition,
        "reference": pair.reference,
        "n": int(item.max()) + 1,
        "pairs": len(ours),
        "odds_ratio": float(np.exp(found.effect)),
        "odds_ratio_low": ends[0],
        "odds_ratio_high": ends[1],
        "item_sd": found.item_sd,
        "prompt_sd": found.prompt_sd,
        "converged": found.converged,
    }


def fit(ours: Array, base: Array, item: Index, prompt: Index) -> MixedEffect:
    """`ours`, `base`: verdicts of the same U units; `item`, `prompt`: their numbers from 0."""
    from statsmodels.genmod.bayes_mixed_glm import BinomialBayesMixedGLM

    right = np.concatenate([ours, base])
    side = np.repeat([0.5, -0.5], len(ours))
    groups = [item, prompt] if prompt.max() > 0 else [item]
    design = sparse.hstack([_indicators(np.tile(codes, 2)) for codes in groups], format="csr")
    kinds = np.repeat(np.arange(len(groups)), [int(codes.max()) + 1 for codes in groups])
    model = BinomialBayesMixedGLM(right, np.column_stack([np.ones(len(right)), side]), design, kinds, **PRIOR)
    size = 2 + len(groups) + design.shape[1]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        result = model.fit_vb(mean=np.zeros(size), sd=np.full(size, 0.6), fit_method="L-BFGS-B", minim_opts={"maxiter": 1000})
    spread = np.exp(result.vcp_mean)
    return MixedEffect(
        effect=float(result.fe_mean[1]),
        sd=float(result.fe_sd[1]),
        item_sd=float(spread[0]),
        prompt_sd=float(spread[1]) if len(groups) > 1 else float("nan"),
        converged=not any("converge" in str(one.message) for one in said) and bool(np.isfinite(result.fe_mean).all()),
    )


def _indicators(codes: Index) -> Any:
    return sparse.csr_matrix((np.ones(len(codes)), (np.arange(len(codes)), codes)))
