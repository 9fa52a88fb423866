"""Accuracy against the words that a rationale may have, in prose and in a format, and how many words the format costs.

Isotonic regression makes each curve monotone, as if more words never hurt. The words lost at a point of the format's
curve are its words minus the words at which prose is equally accurate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression

from fmtbench.analysis.rows.levels import levels
from fmtbench.analysis.statistics.accuracy import condition_accuracy
from fmtbench.analysis.statistics.cube import RERUN, Array, Cube, cubes
from fmtbench.conditions.axes import DEFAULTS
from fmtbench.errors import UserError

PROSE = "text"
AT_ONCE = levels({})[-1]
"""The level without thinking, since no budget counts the words of a thought."""


def dose_table(rows: pd.DataFrame, axes: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """One row for each backbone, task, format and budget.

    `budget`: words asked for, 0 for no rationale, inf for a free one; `words`: mean words written; `words_lost` against
    prose, NaN where the accuracy lies outside the prose curve. Raises `UserError` where no format has two budgets.
    """
    lines = [line for one in cubes(rows) for line in _lines(one, axes)]
    table = pd.DataFrame(lines)
    if table.empty or table.groupby(["backbone", "task", "format"])["budget"].nunique().max() < 2:
        raise UserError("a dose curve needs one format under two budgets: add condition=[free_cot,direct,restricted_cot_25]")
    table = table.sort_values(["backbone", "task", "format", "budget"], ignore_index=True)
    return table.assign(words_lost=_words_lost(table))


def _lines(one: Cube, axes: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for i, condition in enumerate(one.conditions):
        if condition not in axes or condition.endswith(RERUN):
            continue
        wording, asked, enforced, order, (reasoning, words, hard), thinking = levels(axes[condition])
        if (
            wording
            or thinking != AT_ONCE
            or order != DEFAULTS["order"]
            or (enforced == "sham")
            or reasoning not in ("none", "free", "budget")
        ):
            continue
        there = np.isfinite(one.strict_CU[i])
        value, low, high = condition_accuracy(one, condition)
        yield {
            "backbone": one.backbone,
            "task": one.task,
            "format": _format(asked, enforced, hard),
            "condition": condition,
            "budget": {"none": 0.0, "free": float("inf")}.get(reasoning, float(words or 0)),
            "n": len(np.unique(one.item_U[there])),
            "words": float(one.words_CU[i, there].mean()),
            "accuracy": value,
            "accuracy_low": low,
            "accuracy_high": high,
        }


def _format(asked: str, enforced: str, hard: str | None) -> str:
    """`text`, `json`, `json+schema`; `@` says when the format applies, `hard` that the decoder counts the words."""
    (asked, _, when), (enforced, _, masked_when) = asked.partition("@"), enforced.partition("@")
    name = asked if enforced == "no" else f"{asked}+{enforced}"
    if when or masked_when:
        name += f"@{when or masked_when}"
    return name if hard is None else f"{name}, hard"


def _words_lost(table: pd.DataFrame) -> pd.Series:
    lost = pd.Series(np.nan, index=table.index)
    for _, group in table.groupby(["backbone", "task"]):
        prose = group[group["format"] == PROSE].sort_values("words")
        if len(prose) >= 2:
            for _, curve in group[group["format"] != PROSE].groupby("format"):
                curve = curve.sort_values("words")
                lost[curve.index] = horizontal_shift(curve["words"], curve["accuracy"], prose["words"], prose["accuracy"])
    return lost


def horizontal_shift(words: Any, score: Any, prose_words: Any, prose_score: Any) -> Array:
    """Words minus the words at which prose is equally accurate. Both curves are sorted by words; NaN beyond the prose curve."""
    ours = isotonic_regression(np.asarray(score, float)).x
    prose = isotonic_regression(np.asarray(prose_score, float)).x
    heights, first = np.unique(prose, return_index=True)
    where = np.asarray(prose_words, float)[first]
    equal = np.interp(ours, heights, where, left=np.nan, right=np.nan) if len(heights) > 1 else np.full(len(ours), np.nan)
    return np.asarray(words, float) - equal
