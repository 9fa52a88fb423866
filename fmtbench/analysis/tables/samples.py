"""Several samples of an item: pass@k, whether one of k is right, and the majority vote."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from fmtbench.analysis.statistics.bootstrap import FEWER_DRAWS, SEED, bootstrap
from fmtbench.analysis.statistics.cube import RERUN, Array, Sums
from fmtbench.analysis.statistics.repeats import as_votes, majority, pass_at_k
from fmtbench.errors import UserError

READINGS = {"strict": ("correct", "answer"), "latent": ("latent_correct", "latent_answer")}
ENDS = ("", "_low", "_high")


def samples_table(rows: pd.DataFrame, draws: int = FEWER_DRAWS, seed: int = SEED) -> pd.DataFrame:
    """One row for each backbone, task, condition and `measure`: `pass@1`, `pass@2`, `pass@4` ... up to `samples`, the fewest
    that an item has under a prompt, and `majority@samples`, the vote of all of them.

    `strict` and `latent` with 95% bootstrap intervals over items. Conditions with one sample have no row. Raises `UserError`
    where none has two.
    """
    lines = []
    if rows["sample"].nunique() > 1:
        rows = rows[~rows["condition"].astype(str).str.endswith(RERUN)]
        for key, group in rows.groupby(["backbone", "task", "condition"], sort=True, observed=True):
            lines += list(_lines(dict(zip(("backbone", "task", "condition"), key)), group, draws, seed))
    if not lines:
        raise UserError("every item has one sample: run with sampling.samples=8 and sampling.temperature above 0")
    return pd.DataFrame(lines)


def _lines(key: dict[str, Any], rows: pd.DataFrame, draws: int, seed: int) -> Iterator[dict[str, Any]]:
    item, items = pd.factorize(rows["item_id"])
    prompt, prompts = pd.factorize(rows["prompt"])
    place, cell = np.unique(item * len(prompts) + prompt, return_inverse=True)
    number = np.bincount(cell)
    if number.min() < 2:
        return
    where, shape = (place // len(prompts), place % len(prompts)), (len(items), len(prompts))
    names: list[str] = []
    found: dict[str, tuple[Array, ...]] = {}
    for reading in READINGS:
        names, values_NK = _measures(rows, reading, cell, number)
        found[reading] = _intervals(values_NK, where, shape, draws, seed)
    for k, name in enumerate(names):
        line = {**key, "n": len(items), "samples": int(number.min()), "measure": name}
        for reading, values in found.items():
            line |= dict(zip((f"{reading}{end}" for end in ENDS), (some[k] for some in values)))
        yield line


def _measures(rows: pd.DataFrame, reading: str, cell: Any, number: Any) -> tuple[list[str], Array]:
    """The names of the measures, and their values, cells x names."""
    verdict, answer = READINGS[reading]
    right = rows[verdict].to_numpy(dtype=bool)
    count = np.bincount(cell, weights=right).astype(np.int64)
    few = int(number.min())
    ks = [*(2**power for power in range(few.bit_length()) if 2**power < few), few]
    values = [pass_at_k(count, number, k) for k in ks]
    values.append(majority(cell, as_votes(rows[answer], rows["gold"]), right))
    return [*(f"pass@{k}" for k in ks), f"majority@{few}"], np.column_stack(values)


def _intervals(values_NK: Array, where: Any, shape: tuple[int, int], draws: int, seed: int) -> tuple[Array, ...]:
    value, count = np.zeros((*shape, values_NK.shape[1])), np.zeros((*shape, values_NK.shape[1]))
    value[where], count[where] = values_NK, 1.0
    drawn = bootstrap(Sums(value, count), draws, seed, rates=True)
    return drawn.means_K, *drawn.interval(bounds=(0, 1))
