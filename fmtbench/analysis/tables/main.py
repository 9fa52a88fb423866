"""Accuracy, the table that people see first: what does each format cost, and how do its replies fail?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fmtbench.analysis.rows.broken import CELL, broken
from fmtbench.analysis.statistics.accuracy import condition_accuracy
from fmtbench.analysis.statistics.bootstrap import DRAWS, bootstrap
from fmtbench.analysis.statistics.cube import RERUN, Cube, cells, cubes, sums
from fmtbench.analysis.statistics.labels import macro_f1_table
from fmtbench.analysis.statistics.pairs import Pair, difference_KU
from fmtbench.analysis.tables.failures import failure_table
from fmtbench.conditions.axes import REFERENCE

KEY = CELL
ENDS = ("", "_low", "_high")


def accuracy_table(rows: pd.DataFrame, reference: str = REFERENCE, draws: int = DRAWS, marked: bool = False) -> pd.DataFrame:
    """One row for each backbone, task and condition, sorted by name, with the reference first.

    Columns: `n` items; `strict`, `latent` and, if `marked`, `marked` with `_low`, `_high` (Wilson for the effective number of
    trials, 95%); `strict_diff`, `latent_diff` (and `marked_diff`) against the reference on the items and prompts that both
    have, samples averaged (paired bootstrap for these prompts, 95%, as in `contrast_table`; NaN without a reference);
    `macro_f1` where the task has a closed set of labels, else NaN; `share_<status>` of all generations; `tokens`, the mean
    completion length. Where more than `MOST_ERRORS` of a cell are engine errors, its accuracies and differences are NaN.
    """
    readings = ("strict", "marked", "latent") if marked else ("strict", "latent")
    table = pd.DataFrame([line for one in cubes(rows) for line in _lines(one, reference, draws, readings)])
    table = _unsaid(table, rows, reference, readings)
    shares = failure_table(rows).drop(columns=["replies", "ok"]).rename(columns=lambda name: _share(str(name)))
    shares = shares.loc[:, [name in KEY or bool((shares[name] > 0).any()) for name in shares.columns]]
    table = table.merge(macro_f1_table(rows), on=KEY, how="left").merge(shares, on=KEY, how="left")
    ordered = sorted(name for name in table.columns if str(name).startswith("share_"))
    return table[[name for name in table.columns if name not in ordered] + ordered]


def _unsaid(table: pd.DataFrame, rows: pd.DataFrame, reference: str, readings: Sequence[str]) -> pd.DataFrame:
    """The table without the accuracies of broken cells, and without differences from one."""
    bad = set(broken(rows)[KEY].itertuples(index=False, name=None))
    own = [cell in bad for cell in table[KEY].itertuples(index=False, name=None)]
    either = [mine or (line.backbone, line.task, reference) in bad for mine, line in zip(own, table.itertuples(index=False))]
    for reading in readings:
        table.loc[own, [f"{reading}{end}" for end in ENDS]] = np.nan
        table.loc[either, [f"{reading}_diff{end}" for end in ENDS]] = np.nan
    return table


def _share(name: str) -> str:
    return name if name in KEY else f"share_{name}"


def _lines(one: Cube, baseline: str, draws: int, readings: Sequence[str]) -> Iterator[dict[str, Any]]:
    conditions = sorted((name for name in one.conditions if not name.endswith(RERUN)), key=lambda name: (name != baseline, name))
    differences = {reading: paired_differences(one, conditions, baseline, reading, draws) for reading in readings}
    for condition in conditions:
        asked = np.isfinite(one.strict_CU[one.at(condition)])
        line: dict[str, Any] = {"backbone": one.backbone, "task": one.task, "condition": condition}
        line["n"] = len(np.unique(one.item_U[asked]))
        for reading in differences:
            value, low, high = condition_accuracy(one, condition, reading)
            line |= {reading: value, f"{reading}_low": low, f"{reading}_high": high}
            line |= dict(zip((f"{reading}_diff{end}" for end in ENDS), differences[reading][condition]))
        yield line | {"tokens": float(one.tokens_CU[one.at(condition), asked].mean())}


def paired_differences(one: Cube, conditions: list[str], baseline: str, reading: str, draws: int) -> dict[str, tuple[float, ...]]:
    """Value, low and high against the baseline, for each condition; NaN for the baseline and where nothing is shared."""
    nothing = (np.nan, np.nan, np.nan)
    others = [name for name in conditions if name != baseline]
    if baseline not in conditions or not others:
        return dict.fromkeys(conditions, nothing)
    averaged = cells(one)
    drawn = bootstrap(sums(difference_KU(averaged, [Pair(name, baseline) for name in others], reading), averaged), draws)
    return {baseline: nothing} | dict(zip(others, zip(drawn.means_K, *drawn.interval(bounds=(-1, 1)))))
