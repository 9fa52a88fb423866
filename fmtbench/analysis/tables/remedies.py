"""What engineers do where a format hurts, compared by cost: asking again, sampling again, converting, drafting first.

A reply that no program can read is worthless to one, so a right answer counts here only if its contract is kept (strict).
All tokens of all tries and passes count, prompts included, since asking again resends everything said before.

`cheapest` is the arm with the fewest tokens per item among those that write a format and whose difference from free text has an
interval that does not lie below zero. Nothing there indicates a loss; with few items that does not prove that there is none, and
the interval beside it says how large a loss could be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fmtbench.analysis.rows.frame import check_rows
from fmtbench.analysis.statistics.accuracy import condition_accuracy
from fmtbench.analysis.statistics.bootstrap import FEWER_DRAWS, SEED, bootstrap
from fmtbench.analysis.statistics.cube import RERUN, Array, Cube, Sums, cube, sums, unit_values
from fmtbench.analysis.tables.contrasts import contrast_table
from fmtbench.conditions.axes import DEFAULTS, REFERENCE
from fmtbench.errors import UserError

WORDS = ("text", "prose")
"""Levels of `asked` that are not a format that a program reads."""
TAKEN = ("difference", "low", "high", "general_low", "general_high")
"""Columns taken from the contrasts table."""


class Spent(NamedTuple):
    """By condition and unit."""

    valid_CU: Array
    tokens_CU: Array
    seconds_CU: Array


def remedies_table(
    rows: pd.DataFrame,
    axes: Mapping[str, Mapping[str, Any]],
    reference: str = REFERENCE,
    draws: int = FEWER_DRAWS,
    seed: int = SEED,
) -> pd.DataFrame:
    """One row for each backbone, task and condition that comes with the reference, sorted by tokens.

    `accuracy`, `valid`: shares of all items, with 95% intervals; `difference` from the reference, with its interval for these
    prompts (`low`, `high`) and for prompts like these (`general_low`, `general_high`), as in `contrast_table`. `tokens`: of
    prompts and replies, and `reply_tokens`: means of an item over all its passes. `tokens_per_correct`, `seconds_per_correct`:
    of all items divided by the right answers, with 95% bootstrap intervals; inf where none is right. `cheapest`: see above; at
    most one row of each backbone and task.

    `axes`: settings of the conditions by name. Raises `UserError` where no condition has a remedy, or the reference was not run.
    """
    rows = rows[~rows["condition"].str.endswith(RERUN)]
    if not any(_remedied(axes.get(str(name), {})) for name in rows["condition"].unique()):
        raise UserError("no condition has a remedy: run condition=[free_cot,json_prompt,json_prompt_retry]")
    contrasts = contrast_table(rows, reference, draws=draws, seed=seed, axes=axes)
    keys = ["backbone", "task", "condition"]
    table = pd.DataFrame(_all_lines(rows, reference, draws, seed)).merge(contrasts[[*keys, *TAKEN]], on=keys, how="left")
    there = (table["condition"] == reference) | table["difference"].notna()
    table = table[there].sort_values(["backbone", "task", "tokens"], kind="stable", ignore_index=True)
    usable = [_writes_a_format(axes.get(name, {})) for name in table["condition"]]
    return table.assign(cheapest=_cheapest(table, np.array(usable)))


def _remedied(settings: Mapping[str, Any]) -> bool:
    return any(settings.get(name, DEFAULTS[name]) != DEFAULTS[name] for name in ("remedy", "formatter"))


def _writes_a_format(settings: Mapping[str, Any]) -> bool:
    known = {**DEFAULTS, **settings}
    return known["when"] != "reconsider" and (known["asked"] not in WORDS or known["enforced"] == "schema")


def _cheapest(table: pd.DataFrame, usable: Any) -> Any:
    """Marks the row of the cheapest arm of each backbone and task. Among equals, the more accurate."""
    fit = table[usable & (table["high"] >= 0)].sort_values(["tokens", "accuracy"], ascending=[True, False], kind="stable")
    first = fit.drop_duplicates(["backbone", "task"]).index
    return table.index.isin(first)


def _all_lines(rows: pd.DataFrame, reference: str, draws: int, seed: int) -> Iterator[dict[str, Any]]:
    for (backbone, task), group in check_rows(rows).groupby(["backbone", "task"], sort=True, observed=True):
        one = cube(group, str(backbone), str(task))
        if reference not in one.conditions:
            continue
        tokens = group["completion_tokens"] + group["prompt_tokens"]
        values = pd.DataFrame({"valid": group["status"] == "ok", "tokens": tokens, "seconds": group["seconds"]})
        spent = Spent(*unit_values(group, values))
        yield from (_line(one, spent, name, draws, seed) for name in one.conditions)


def _line(one: Cube, spent: Spent, condition: str, draws: int, seed: int) -> dict[str, Any]:
    at = one.at(condition)
    asked_U = np.isfinite(one.strict_CU[at])
    right, valid = (condition_accuracy(one._replace(strict_CU=score), condition) for score in (one.strict_CU, spent.valid_CU))
    line: dict[str, Any] = {"backbone": one.backbone, "task": one.task, "condition": condition}
    line |= {"n": len(np.unique(one.item_U[asked_U]))}
    line |= dict(zip(("accuracy", "accuracy_low", "accuracy_high", "valid", "valid_low", "valid_high"), (*right, *valid)))
    line |= {"tokens": float(spent.tokens_CU[at][asked_U].mean()), "reply_tokens": float(one.tokens_CU[at][asked_U].mean())}
    for name, paid_CU in (("tokens", spent.tokens_CU), ("seconds", spent.seconds_CU)):
        ends = _per_correct(one, paid_CU[at], one.strict_CU[at], draws, seed)
        line |= dict(zip((f"{name}_per_correct", f"{name}_per_correct_low", f"{name}_per_correct_high"), ends))
    return line


def _per_correct(one: Cube, paid_U: Array, right_U: Array, draws: int, seed: int) -> tuple[float, float, float]:
    """Ratio of what was paid to the right answers, both from the same drawn items."""
    paid, right = sums(paid_U[None], one), sums(right_U[None], one)
    both = Sums(np.concatenate([paid.value_IPK, right.value_IPK], 2), np.concatenate([paid.count_IPK, right.count_IPK], 2))
    found = bootstrap(both, draws, seed, np.ones(2, bool), together=True)
    drawn_BK = np.vstack([found.means_K, found.draws_BK])
    ratio_B = np.divide(drawn_BK[:, 0], drawn_BK[:, 1], out=np.full(len(drawn_BK), np.inf), where=drawn_BK[:, 1] > 0)
    low, high = np.quantile(ratio_B[1:], [0.025, 0.975], method="inverted_cdf")
    return float(ratio_B[0]), float(low), float(high)
