"""Which pairs of backbone and task a study can learn from: those where a pilot finds neither floor, ceiling nor chance.

The rule is data, in `conf/table/pilot.yaml`, and is applied to free text alone, so that no format influences what is studied.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from fmtbench.analysis.statistics.accuracy import Estimate, condition_accuracy
from fmtbench.analysis.statistics.chance import chance_of
from fmtbench.analysis.statistics.cube import cubes
from fmtbench.conditions.axes import REFERENCE
from fmtbench.errors import UserError

IN = "in"


def pilot_table(
    rows: pd.DataFrame, low: float = 0.15, high: float = 0.85, condition: str = REFERENCE, asked: bool = False
) -> pd.DataFrame:
    """One row for each backbone and task: `n` items, `prompts`, `latent` accuracy under `condition` with its 95% interval
    (Wilson), `chance`, the share `truncated` of its replies, and `verdict`.

    A pair is in if `low` <= latent <= `high` and, for a task with few golds, if the whole interval lies above chance; otherwise
    the verdict says what keeps it out. `attrs["below"]`: the tasks that are in, for each backbone, as a command line
    takes them. Raises `UserError` unless `asked`, and where no row is of the condition.
    """
    if not asked:
        raise UserError("it chooses the tasks of a study, from a pilot: ask for it, table=[pilot]")
    kept = rows[rows["condition"] == condition]
    if kept.empty:
        raise UserError(f"a pilot is judged by {condition}, and no row is of it: run condition=[{condition}]")
    table = pd.DataFrame(list(_lines(kept, low, high, condition)))
    table.attrs["below"] = [_chosen(backbone, lines) for backbone, lines in table.groupby("backbone", sort=True, observed=True)]
    return table


def _lines(rows: pd.DataFrame, low: float, high: float, condition: str) -> Iterator[dict[str, Any]]:
    chance = chance_of(rows)
    truncated = (rows["status"] == "truncated").groupby([rows["backbone"], rows["task"]], observed=True).mean()
    for one in cubes(rows):
        latent = condition_accuracy(one, condition, "latent")
        yield {
            "backbone": one.backbone,
            "task": one.task,
            "n": len(np.unique(one.item_U)),
            "prompts": len(np.unique(one.prompt_U)),
            "latent": latent.value,
            "latent_low": latent.low,
            "latent_high": latent.high,
            "chance": chance[one.task],
            "truncated": float(truncated[one.backbone, one.task]),
            "verdict": verdict(latent, chance[one.task], low, high),
        }


def verdict(latent: Estimate, chance: float, low: float, high: float) -> str:
    """`in`, or why not: below or above the band, or not above `chance` where guessing gets any right."""
    if latent.value < low:
        return f"out: below {100 * low:g}%"
    if latent.value > high:
        return f"out: above {100 * high:g}%"
    return "out: not above chance" if chance and latent.low <= chance else IN


def _chosen(backbone: Any, lines: pd.DataFrame) -> str:
    names = lines.loc[lines["verdict"] == IN, "task"].astype(str)
    return f"{backbone}: task=[{','.join(names)}]." if len(names) else f"{backbone}: no task is in."
