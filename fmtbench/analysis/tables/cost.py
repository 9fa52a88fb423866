"""What a right answer costs, and which conditions no other one beats at their price.

A condition that takes two passes or reasons longer should be compared at equal tokens: `frontier` marks the conditions that
no cheaper one equals, and the area under that staircase, over the dearest condition's tokens, sums up a task.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from fmtbench.analysis.statistics.accuracy import condition_accuracy
from fmtbench.analysis.statistics.bootstrap import FEWER_DRAWS, SEED, bootstrap
from fmtbench.analysis.statistics.cube import RERUN, Array, Sums, cubes, sums
from fmtbench.errors import UserError


def cost_table(rows: pd.DataFrame, draws: int = FEWER_DRAWS, seed: int = SEED) -> pd.DataFrame:
    """One line for each backbone, task and condition.

    `accuracy`: that of `accuracy_table`. `tokens`, `prompt_tokens`, `seconds`: mean of a reply. `tokens_per_correct`, with its
    95% bootstrap interval over items, and `seconds_per_correct`: of all replies, over those that are right; inf where none is.
    `area`: that of the accuracy-token frontier, one value for a task. Raises `UserError` where no row says how many tokens its
    reply had, as those of transcripts do not.
    """
    if not rows["completion_tokens"].any():
        raise UserError("no row says how many tokens its reply has: transcripts are rescored without a tokenizer")
    rows = rows[~rows["condition"].str.endswith(RERUN)]
    intervals = _intervals(rows, draws, seed)
    groups = rows.groupby(["backbone", "task", "condition"], sort=True, observed=True)
    table = groups.agg(
        n=("item_id", "nunique"),
        right=("correct", "mean"),
        tokens=("completion_tokens", "mean"),
        prompt_tokens=("prompt_tokens", "mean"),
        seconds=("seconds", "mean"),
    ).reset_index()
    with np.errstate(divide="ignore"):
        table["tokens_per_correct"] = np.divide(table["tokens"], table["right"])
        table["seconds_per_correct"] = np.divide(table["seconds"], table["right"])
    table = table.drop(columns="right").merge(intervals, on=["backbone", "task", "condition"])
    pieces = [_with_frontier(group) for _, group in table.groupby(["backbone", "task"], sort=True)]
    return pd.concat(pieces, ignore_index=True)


def _with_frontier(group: pd.DataFrame) -> pd.DataFrame:
    tokens, score = group["tokens"].to_numpy(), group["accuracy"].to_numpy()
    return group.assign(frontier=frontier(tokens, score), area=area(tokens, score))


def frontier(tokens: Array, score: Array) -> Any:
    """True where no other point is at least as accurate for at most as many tokens, and better in one of the two."""
    cheaper = (tokens[None] <= tokens[:, None]) & (score[None] >= score[:, None])
    better = (tokens[None] < tokens[:, None]) | (score[None] > score[:, None])
    return ~(cheaper & better).any(axis=1)


def area(tokens: Array, score: Array) -> float:
    """Mean accuracy of the best affordable condition over budgets from 0 to the dearest condition's tokens."""
    order = np.argsort(tokens, kind="stable")
    best = np.maximum.accumulate(score[order])
    widths = np.diff(np.append(tokens[order], tokens.max()))
    return float((best * widths).sum() / tokens.max()) if tokens.max() > 0 else float("nan")


def _intervals(rows: pd.DataFrame, draws: int, seed: int) -> pd.DataFrame:
    return pd.DataFrame([line for one in cubes(rows) for line in _cube_intervals(one, draws, seed)])


def _cube_intervals(one: Any, draws: int, seed: int) -> Iterator[dict[str, Any]]:
    """Ratio of the tokens to the right answers of the same drawn items."""
    tokens, right = sums(one.tokens_CU, one), sums(one.strict_CU, one)
    both = Sums(np.concatenate([tokens.value_IPK, right.value_IPK], 2), np.concatenate([tokens.count_IPK, right.count_IPK], 2))
    drawn = bootstrap(both, draws, seed, np.ones(both.value_IPK.shape[2], bool), together=True).draws_BK
    split = len(one.conditions)
    for k, condition in enumerate(one.conditions):
        ratio = np.divide(drawn[:, k], drawn[:, split + k], out=np.full(len(drawn), np.inf), where=drawn[:, split + k] > 0)
        low, high = np.quantile(ratio, [0.025, 0.975], method="inverted_cdf")
        yield {
            "backbone": one.backbone,
            "task": one.task,
            "condition": condition,
            "accuracy": condition_accuracy(one, condition).value,
            "tokens_per_correct_low": low,
            "tokens_per_correct_high": high,
        }
