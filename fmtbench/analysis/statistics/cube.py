"""The measurements of one backbone on one task as arrays, so that a statistic is a few lines of numpy.

Axis names: C conditions, U units (an item asked with one prompt, seed and sample), I items, P prompts, K statistics.
A unit is paired across conditions; its value is NaN where a condition lacks it, so pairing is `isfinite`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from fmtbench.analysis.rows.frame import check_rows
from fmtbench.types import RERUN as RERUN

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

UNIT = ["item_id", "prompt", "seed", "sample"]


class Cube(NamedTuple):
    """One backbone on one task."""

    backbone: str
    task: str
    conditions: tuple[str, ...]
    strict_CU: Array
    marked_CU: Array
    latent_CU: Array
    truncated_CU: Array
    tokens_CU: Array
    words_CU: Array
    item_U: Index
    prompt_U: Index
    sample_U: Index

    def at(self, condition: str) -> int:
        return self.conditions.index(condition)

    def scores(self, reading: str) -> Array:
        """`strict`, `marked` or `latent` verdicts, as 0, 1 or NaN."""
        return {"strict": self.strict_CU, "marked": self.marked_CU, "latent": self.latent_CU}[reading]


class Sums(NamedTuple):
    """K statistics, summed over the units of each item and prompt: what the bootstrap draws from."""

    value_IPK: Array
    count_IPK: Array

    def means(self) -> Array:
        """The K means over units."""
        count_K = self.count_IPK.sum((0, 1))
        return np.divide(self.value_IPK.sum((0, 1)), count_K, out=np.full(count_K.shape, np.nan), where=count_K > 0)


def cubes(rows: pd.DataFrame) -> Iterator[Cube]:
    """One cube for each backbone and task, in the order of their names."""
    for (backbone, task), group in check_rows(rows).groupby(["backbone", "task"], sort=True, observed=True):
        yield cube(group, str(backbone), str(task))


def unit_values(rows: pd.DataFrame, values: pd.DataFrame) -> list[Array]:
    """One array of C x U for each column of numbers, in the order of the cube of the same rows."""
    condition, conditions = pd.factorize(rows["condition"], sort=True)
    codes = {name: pd.factorize(rows[name], sort=True)[0].astype(np.int64) for name in UNIT}
    _, first, units = np.unique(_one_code(codes), return_index=True, return_inverse=True)
    arrays = []
    for name in values.columns:
        arrays.append(np.full((len(conditions), len(first)), np.nan))
        arrays[-1][condition, units] = values[name].to_numpy(dtype=float)
    return arrays


def cube(rows: pd.DataFrame, backbone: str, task: str) -> Cube:
    condition, conditions = pd.factorize(rows["condition"], sort=True)
    codes = {name: pd.factorize(rows[name], sort=True)[0].astype(np.int64) for name in UNIT}
    _, first, units = np.unique(_one_code(codes), return_index=True, return_inverse=True)
    shape = (len(conditions), len(first))

    def filled(values: pd.Series) -> Array:
        array = np.full(shape, np.nan)
        array[condition, units] = values.to_numpy(dtype=float)
        return array

    return Cube(
        backbone=backbone,
        task=task,
        conditions=tuple(map(str, conditions)),
        strict_CU=filled(rows["correct"].astype(bool)),
        marked_CU=filled(rows["marked_correct"].astype(bool)),
        latent_CU=filled(rows["latent_correct"].astype(bool)),
        truncated_CU=filled(rows["status"] == "truncated"),
        tokens_CU=filled(rows["completion_tokens"]),
        words_CU=filled(rows["reasoning_words"]),
        item_U=codes["item_id"][first],
        prompt_U=codes["prompt"][first],
        sample_U=codes["sample"][first],
    )


def cells(one: Cube) -> Cube:
    """The same cube with the samples of an item and prompt averaged: one unit per cell, however many samples a condition has.

    Cells are paired, so that no sample of either side is dropped where the other has fewer.
    """
    _, first = cell_index(one)
    fields: dict[str, Any] = {name: average(getattr(one, name), one) for name in Cube._fields if name.endswith("_CU")}
    fields |= {"item_U": one.item_U[first], "prompt_U": one.prompt_U[first], "sample_U": np.zeros(len(first), dtype=np.int64)}
    return one._replace(**fields)


def average(values_KU: Array, one: Cube) -> Array:
    """Means over the samples of each item and prompt, K x cells in the order of `cells`; NaN where there are none."""
    index_U, first = cell_index(one)
    if len(first) == len(index_U):
        return values_KU[:, first]
    averaged = np.full((len(values_KU), len(first)), np.nan)
    for k, value_U in enumerate(values_KU):
        there = np.isfinite(value_U)
        total, count = (np.bincount(index_U[there], weights=some, minlength=len(first)) for some in (value_U[there], None))
        np.divide(total, count, out=averaged[k], where=count > 0)
    return averaged


def cell_index(one: Cube) -> tuple[Index, Index]:
    """For each unit the number of its cell (its item and prompt), and for each cell its first unit."""
    code_U = one.item_U * (int(one.prompt_U.max()) + 1) + one.prompt_U
    _, first, index_U = np.unique(code_U, return_index=True, return_inverse=True)
    return index_U, first


def table_CIP(score_CU: Array, one: Cube) -> Array:
    """Scores of cells as conditions x items x prompts; NaN where a cell is missing."""
    shape = (len(score_CU), int(one.item_U.max()) + 1, int(one.prompt_U.max()) + 1)
    table = np.full(shape, np.nan)
    table[:, one.item_U, one.prompt_U] = score_CU
    return table


def _one_code(codes: dict[str, Index]) -> Index:
    """One number for each combination."""
    combined = np.zeros(len(codes[UNIT[0]]), dtype=np.int64)
    for name in UNIT:
        combined = combined * (int(codes[name].max()) + 1) + codes[name]
    return combined


def sums(values_KU: Array, one: Cube, weights_KU: Array | None = None) -> Sums:
    """Sums and counts of the finite values by item and prompt. Repeats of an item with one prompt form one cluster.

    `weights_KU`, at least 0, say how much a value counts.
    """
    weights_KU = np.ones_like(values_KU) if weights_KU is None else weights_KU
    items, prompts = int(one.item_U.max()) + 1, int(one.prompt_U.max()) + 1
    cell_U = one.item_U * prompts + one.prompt_U
    value, count = (np.empty((items * prompts, len(values_KU))) for _ in range(2))
    for k, (value_U, weight_U) in enumerate(zip(values_KU, weights_KU)):
        there = np.isfinite(value_U * weight_U)
        value[:, k] = np.bincount(cell_U[there], weights=(value_U * weight_U)[there], minlength=items * prompts)
        count[:, k] = np.bincount(cell_U[there], weights=weight_U[there], minlength=items * prompts)
    return Sums(value.reshape(items, prompts, -1), count.reshape(items, prompts, -1))
