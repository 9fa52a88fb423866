"""What a right answer costs, and which conditions no other beats at their price.

A condition that takes two passes or reasons longer should be compared at equal tokens: `frontier` marks the conditions that
no cheaper one equals, and the area under that staircase, up to the tokens of the most expensive condition, sums up a task.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from fmtbench.analysis.statistics.accuracy import condition_accuracy
from fmtbench.analysis.statistics.bootstrap import FEWER_DRAWS, SEED, bootstrap
from fmtbench.analysis.statistics.cube import RERUN, Array, Sums, cubes, sums
from fmtbench.errors import UserError
from fmtbench.price import Prices, amount


def cost_table(
    rows: pd.DataFrame,
    draws: int = FEWER_DRAWS,
    seed: int = SEED,
    prices: Mapping[tuple[str, str, str], Prices] | None = None,
    price_in: Any = None,
    price_out: Any = None,
) -> pd.DataFrame:
    """One row for each backbone, task and condition.

    `accuracy`: as in `accuracy_table`. `tokens`, `prompt_tokens`, `seconds`: means per reply. `tokens_per_correct`, with its
    95% bootstrap interval over items, and `seconds_per_correct`: of all replies, divided by the right ones; inf where none is.
    `area`: under the accuracy-token frontier, one value per task. `money` and `money_per_correct`, in `currency`: of a
    thousand replies and of a thousand right answers, at list prices where they are known: `price_in` and `price_out` for all
    rows, or else `prices` by backbone, task and condition. Raises `UserError` where no row says how many tokens its
    reply had, as is the case with transcripts.
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
    return with_money(pd.concat(pieces, ignore_index=True), rows, Prices.read(price_in, price_out) or prices or {})


def with_money(table: pd.DataFrame, rows: pd.DataFrame, prices: Prices | Mapping[tuple[str, str, str], Prices]) -> pd.DataFrame:
    """The table with what replies cost, and below it the cost of all of them; unchanged where no price is known."""
    cells = list(table[["backbone", "task", "condition"]].itertuples(index=False, name=None))
    known = [prices if isinstance(prices, Prices) else prices.get(cell) for cell in cells]
    if not any(known):
        return table
    of_cells = rows.groupby(["backbone", "task", "condition"], observed=True)["correct"]
    right, replies = ([found[cell] for cell in cells] for found in (of_cells.mean(), of_cells.size()))
    each = np.array([one.of(p, r) if one else np.nan for one, p, r in zip(known, table["prompt_tokens"], table["tokens"])])
    with np.errstate(divide="ignore"):
        per_correct = 1000 * np.divide(each, right)
    table = table.assign(
        money=1000 * each, money_per_correct=per_correct, currency=[one.currency if one else "" for one in known]
    )
    spent = pd.Series(each * replies).groupby(table["currency"]).sum().drop("", errors="ignore")
    sums_ = ", ".join(amount(value, str(name)) for name, value in spent.items())
    table.attrs["below"] = [f"money: of a thousand replies, or right answers, at list prices. All replies together: {sums_}."]
    return table


def _with_frontier(group: pd.DataFrame) -> pd.DataFrame:
    tokens, score = group["tokens"].to_numpy(), group["accuracy"].to_numpy()
    return group.assign(frontier=frontier(tokens, score), area=area(tokens, score))


def frontier(tokens: Array, score: Array) -> Any:
    """True where no other point is at least as accurate for at most as many tokens, and better in one of the two."""
    cheaper = (tokens[None] <= tokens[:, None]) & (score[None] >= score[:, None])
    better = (tokens[None] < tokens[:, None]) | (score[None] > score[:, None])
    return ~(cheaper & better).any(axis=1)


def area(tokens: Array, score: Array) -> float:
    """Mean accuracy of the best affordable condition over budgets from 0 to the tokens of the most expensive condition."""
    order = np.argsort(tokens, kind="stable")
    best = np.maximum.accumulate(score[order])
    widths = np.diff(np.append(tokens[order], tokens.max()))
    return float((best * widths).sum() / tokens.max()) if tokens.max() > 0 else float("nan")


def _intervals(rows: pd.DataFrame, draws: int, seed: int) -> pd.DataFrame:
    return pd.DataFrame([line for one in cubes(rows) for line in _cube_intervals(one, draws, seed)])


def _cube_intervals(one: Any, draws: int, seed: int) -> Iterator[dict[str, Any]]:
    """Ratio of tokens to right answers, both from the same drawn items."""
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
