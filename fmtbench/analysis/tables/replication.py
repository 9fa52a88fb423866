"""Published accuracies next to ours, where task and condition correspond; each with its source and how it is known.

The numbers are in `published.csv`. They come from other models, prompts and readers, and often from other settings of the
task: the difference from the study's own free answers is comparable, the accuracy is not. `provenance`: P, read in the primary
source; S, quoted by another one. The file holds nothing from memory alone. A number stands next to several of our tasks or
conditions where the file names several, separated by spaces: those of a published set, and generated ones of its kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fmtbench.analysis.statistics.accuracy import condition_accuracy
from fmtbench.analysis.statistics.cube import RERUN, Cube, cubes
from fmtbench.conditions.axes import REFERENCE
from fmtbench.errors import UserError

PUBLISHED = Path(__file__).with_name("published.csv")
SHOTS = "_3_shot"
"""The suffix of conditions with worked examples, whose free answers are those of `free_cot_3_shot`."""


def published() -> pd.DataFrame:
    """`study model task setting condition published n provenance learned note source`.

    `n` is empty where the study does not give it; `setting` is the task's, such as `words=4`, where it has one.
    """
    return pd.read_csv(PUBLISHED, dtype={"n": "Int64"}).fillna({"setting": "", "note": ""})


def replication_table(
    rows: pd.DataFrame, tasks: Mapping[str, Mapping[str, Any]] | None = None, studies: Sequence[str] = ()
) -> pd.DataFrame:
    """One row for each published number and each of our backbones that has its task and condition.

    `tasks`: settings of our tasks by name; `our_setting` shows the one that the study names, where it is known. `studies`: the
    published ones to show, by default all. Raises `UserError` where there is no such pair.
    """
    ours = pd.DataFrame(
        [
            {"backbone": one.backbone, "task": one.task, "condition": condition, **_ours(one, condition)}
            for one in cubes(rows)
            for condition in one.conditions
            if not condition.endswith(RERUN)
        ]
    )
    theirs = _asked_alike(_with_free(published(), ["study", "model", "task"], "published"))
    if studies:
        theirs = theirs[theirs["study"].isin(studies)]
    table = theirs.merge(_with_free(ours, ["backbone", "task"], "ours"), on=["task", "condition"])
    if table.empty:
        known = ", ".join(sorted(theirs["task"].unique()))
        raise UserError(f"no published number matches a task and condition of these rows: published are tasks {known}")
    table["our_setting"] = [_setting(line.setting, (tasks or {}).get(line.task, {})) for line in table.itertuples()]
    return table.sort_values(["task", "study", "model", "condition", "backbone"], ignore_index=True)


def _asked_alike(table: pd.DataFrame) -> pd.DataFrame:
    """One row for each of our tasks and conditions that a number corresponds to."""
    for name in ("task", "condition"):
        table = table.assign(**{name: table[name].str.split()}).explode(name)
    return table


def _setting(theirs: str, known: Mapping[str, Any]) -> str:
    """Our task's value of the setting that the study names as `name=value`; empty where it is unknown."""
    name = theirs.split("=")[0]
    return f"{name}={known[name]}" if name in known else ""


def _ours(one: Cube, condition: str) -> dict[str, float]:
    value, low, high = condition_accuracy(one, condition)
    items = len(np.unique(one.item_U[np.isfinite(one.strict_CU[one.at(condition)])]))
    return {"ours": value, "ours_low": low, "ours_high": high, "ours_n": items}


def _with_free(table: pd.DataFrame, keys: list[str], column: str) -> pd.DataFrame:
    """Adds a column: the accuracy minus that of the same study's free answers, with worked examples where the condition has
    them; empty where the study has no free answers."""
    first = table["condition"].str.split().str[0]
    keyed = table.assign(_shots=first.str.endswith(SHOTS))
    free = keyed[first.isin([REFERENCE, REFERENCE + SHOTS])].set_index([*keys, "_shots"])[column].rename("_free")
    joined = keyed.join(free, on=[*keys, "_shots"])
    return joined.assign(**{f"{column}_difference": joined[column] - joined["_free"]}).drop(columns=["_free", "_shots"])
