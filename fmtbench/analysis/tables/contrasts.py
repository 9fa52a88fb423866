"""Paired comparisons of two conditions on the same items: one line for each backbone, task and condition.

    contrast_table(rows)                                            every condition against free_cot
    contrast_table(rows, planned=[{"condition": "json_schema", "reference": "json_prompt"}])

Tasks are never pooled: formats help some kinds of task and harm others, so a mean over both says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fmtbench.analysis.statistics.bootstrap import DRAWS, SEED, bootstrap
from fmtbench.analysis.statistics.cube import Array, Cube, cubes, sums
from fmtbench.analysis.statistics.exact import MARGIN, adjust, detectable, odds_ratio, sign_test
from fmtbench.analysis.statistics.pairs import Pair, difference_KU, pairs_of, planned_pairs
from fmtbench.conditions.axes import REFERENCE
from fmtbench.errors import UserError

FEW_ITEMS, FEW_DISCORDANT, FEW_PROMPTS = 30, 10, 6
COLUMNS = [
    "backbone",
    "task",
    "condition",
    "reference",
    "n",
    "accuracy",
    "reference_accuracy",
    "difference",
    "low",
    "high",
    "p_mcnemar",
    "p_adjusted",
    "planned",
    "mde",
    "equivalent",
    "latent_difference",
    "latent_low",
    "latent_high",
    "latent_p_mcnemar",
    "p_score",
    "p_score_adjusted",
    "margin",
    "odds_ratio",
    "odds_low",
    "odds_high",
    "discordant",
    "pairs",
    "prompts",
    "correction",
    "mark",
]


def contrast_table(
    rows: pd.DataFrame,
    reference: str = REFERENCE,
    planned: Sequence[Mapping[str, str] | str] = (),
    margin: float = MARGIN,
    draws: int = DRAWS,
    seed: int = SEED,
) -> pd.DataFrame:
    """Differences condition minus reference in accuracy, on the units that both have; shares, not points.

    `low`, `high`: 95% cluster bootstrap. `p_mcnemar`: exact, never rejects more often than its level. `p_adjusted`: the
    same after Holm within the planned contrasts and Benjamini-Hochberg within the rest. `p_score`, `p_score_adjusted`:
    McNemar's score test with the same corrections, closest to its level. `equivalent`: the 90% interval lies within
    `margin` (two one-sided tests at 5%). `mde`: smallest difference detected with 80% power at two-sided 5%. `mark` says
    what makes a line's interval unsure.
    Raises `UserError` where no two conditions share an item.
    """
    wanted = planned_pairs(planned, reference)
    lines = [line for one in cubes(rows) for line in _contrasts(one, pairs_of(one, reference, wanted), margin, draws, seed)]
    if not lines:
        found = ", ".join(sorted(map(str, rows["condition"].unique())))
        raise UserError(f"no condition shares an item with {reference}: the rows hold {found}; give reference= one of them")
    table = pd.DataFrame(lines)
    table["planned"] = [Pair(line.condition, line.reference) in wanted for line in table.itertuples()]
    for name, adjusted in (("p_mcnemar", "p_adjusted"), ("p_score", "p_score_adjusted")):
        table[adjusted] = adjust(table[name].to_numpy(), table["planned"].to_numpy())
    table["margin"] = margin
    table["correction"] = np.where(table["planned"], "holm", "bh")
    return table[COLUMNS]


def _contrasts(one: Cube, pairs: Sequence[Pair], margin: float, draws: int, seed: int) -> Iterator[dict[str, Any]]:
    pairs = [pair for pair in pairs if np.isfinite(difference_KU(one, [pair])).any()]
    if not pairs:
        return
    both_KU = np.vstack([difference_KU(one, pairs, reading) for reading in ("strict", "latent")])
    summed = sums(both_KU, one)
    drawn = bootstrap(summed, draws, seed)
    (low, high), (inner_low, inner_high) = drawn.interval(bounds=(-1, 1)), drawn.interval(0.90)
    total_IK, count_IK = summed.value_IPK.sum(1), summed.count_IPK.sum(1)
    for k, pair in enumerate(pairs):
        j = k + len(pairs)
        yield {
            "backbone": one.backbone,
            "task": one.task,
            "condition": pair.condition,
            "reference": pair.reference,
            **_accuracies(one, pair, both_KU[k]),
            "difference": drawn.means_K[k],
            "low": low[k],
            "high": high[k],
            "equivalent": bool(-margin < inner_low[k] and inner_high[k] < margin),
            "latent_difference": drawn.means_K[j],
            "latent_low": low[j],
            "latent_high": high[j],
            **_tests(total_IK[:, k], count_IK[:, k], both_KU[k]),
            "latent_p_mcnemar": sign_test(total_IK[:, j]).p,
            **_standing(summed.count_IPK[:, :, k], total_IK[:, k]),
        }


def _accuracies(one: Cube, pair: Pair, difference_U: Array) -> dict[str, Any]:
    """Both accuracies over the shared units, so that they differ by exactly the difference."""
    shared = np.isfinite(difference_U)
    return {
        "n": len(np.unique(one.item_U[shared])),
        "pairs": int(shared.sum()),
        "accuracy": float(one.strict_CU[one.at(pair.condition), shared].mean()),
        "reference_accuracy": float(one.strict_CU[one.at(pair.reference), shared].mean()),
    }


def _tests(total_I: Array, count_I: Array, difference_U: Array) -> dict[str, float]:
    test = sign_test(total_I)
    ratio, low, high = odds_ratio(float((difference_U == 1).sum()), float((difference_U == -1).sum()))
    asked = count_I > 0
    return {
        "p_mcnemar": test.p,
        "p_score": test.p_score,
        "odds_ratio": ratio,
        "odds_low": low,
        "odds_high": high,
        "mde": detectable(float(((total_I[asked] / count_I[asked]) ** 2).sum()), int(asked.sum())),
    }


def _standing(count_IP: Array, total_I: Array) -> dict[str, Any]:
    """How many items disagree, and what there is too little of for the interval to keep its level."""
    items, discordant = int((count_IP.sum(1) > 0).sum()), int((total_I != 0).sum())
    prompts = int((count_IP.sum(0) > 0).sum())
    marks = {
        f"n<{FEW_ITEMS}": items < FEW_ITEMS,
        f"discordant<{FEW_DISCORDANT}": discordant < FEW_DISCORDANT,
        f"prompts<{FEW_PROMPTS}": 1 < prompts < FEW_PROMPTS,
    }
    return {"discordant": discordant, "prompts": prompts, "mark": ", ".join(mark for mark, holds in marks.items() if holds)}
