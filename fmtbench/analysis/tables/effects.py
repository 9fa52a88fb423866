"""Chosen paired differences of several studies in one table, each pooled over the tasks that it names.

effects:
  - {effect: length, condition: concise, reference: chain_of_thought, tasks: [aqua-rat, sat-math], pooled: mathematics}
  - {effect: reading, condition: json_prompt, reading: strict, reference_reading: latent}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fmtbench.analysis.statistics.bootstrap import DRAWS, SEED, bootstrap
from fmtbench.analysis.statistics.cube import UNIT, Sums
from fmtbench.errors import UserError

READINGS = {"strict": "correct", "marked": "marked_correct", "latent": "latent_correct"}
MARGIN = 0.02


def effects_table(
    rows: pd.DataFrame, effects: Sequence[Mapping[str, Any]], margin: float = MARGIN, draws: int = DRAWS, seed: int = SEED
) -> pd.DataFrame:
    """One row for each effect and each backbone that has it: `n` items, and the `difference` in accuracy, with samples averaged
    and the items of all its tasks weighted alike, with a 95% bootstrap interval over items. `equivalent`: the 90% interval lies
    within `margin`, which amounts to two one-sided tests at 5%.

    An effect without `tasks` gives one row for each task. Raises `UserError` where no backbone has any of them.
    """
    lines = [line for one in effects for line in _lines(rows, one, margin, draws, seed)]
    if not lines:
        raise UserError("no backbone has both conditions of any of the effects: name conditions that are in the rows")
    return pd.DataFrame(lines)


def _lines(rows: pd.DataFrame, effect: Mapping[str, Any], margin: float, draws: int, seed: int) -> Iterator[dict[str, Any]]:
    condition, reference = effect["condition"], effect.get("reference", effect["condition"])
    reading = effect.get("reading", "latent")
    readings = reading, effect.get("reference_reading", reading)
    there = rows[rows["condition"].isin([condition, reference])]
    tasks = effect.get("tasks")
    there = there[there["task"].isin(tasks)] if tasks else there
    keys = ["backbone"] if tasks else ["backbone", "task"]
    for key, own in there.groupby(keys, sort=True, observed=True):
        difference = _per_item(own, condition, reference, readings)
        if len(difference) > 1:
            backbone, task = (key[0], effect.get("pooled", "+".join(tasks)) if tasks else key[1])
            named = {
                "effect": effect["effect"],
                "backbone": str(backbone),
                "task": str(task),
                "condition": condition,
                "reference": reference,
            }
            yield named | {"reading": "-".join(dict.fromkeys(readings))} | _measured(difference.to_numpy(), margin, draws, seed)


def _per_item(own: pd.DataFrame, condition: str, reference: str, readings: tuple[str, str]) -> pd.Series:
    """The mean difference of each item, over the units that both sides have."""
    sides = [
        own[own["condition"] == name].set_index(["task", *UNIT])[READINGS[reading]].astype(float)
        for name, reading in zip((condition, reference), readings)
    ]
    return (sides[0] - sides[1]).dropna().groupby(level=["task", "item_id"], observed=True).mean()


def _measured(difference: np.ndarray, margin: float, draws: int, seed: int) -> dict[str, Any]:
    drawn = bootstrap(Sums(difference[:, None, None], np.ones((len(difference), 1, 1))), draws, seed)
    (low,), (high,) = drawn.interval(bounds=(-1, 1))
    (inner_low,), (inner_high,) = drawn.interval(level=0.90)
    return {
        "n": len(difference),
        "difference": drawn.means_K[0],
        "difference_low": low,
        "difference_high": high,
        "equivalent": bool(-margin < inner_low and inner_high < margin),
    }
