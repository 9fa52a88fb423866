"""The shape of a schema as a dose: does the same question get worse answers as the schema around it grows?

Tasks of `fmtbench.tasks.shapes` ask for the same answer in the same texts. Those that differ in one property of the schema form
a curve; each dose is compared with the first one on the same items, with the statistics of `contrast_table`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fmtbench.analysis.rows.fields import right_fields
from fmtbench.analysis.statistics.accuracy import condition_accuracy
from fmtbench.analysis.statistics.bootstrap import DRAWS
from fmtbench.analysis.statistics.cube import RERUN, Cube, cube
from fmtbench.analysis.tables.contrasts import READINGS, contrast_table
from fmtbench.analysis.tables.main import ENDS
from fmtbench.errors import UserError
from fmtbench.tasks.shapes import BASE

KIND = "fmtbench.tasks.shapes.Shaped"
LOOSEST_FIRST = "max_length"
"""The axis on which the dose grows as the number falls; 0 sets no limit, and is the weakest dose."""
PAIRED = ("difference", "low", "high", "general_low", "general_high", "p_mcnemar")
COMMON = ("p_adjusted", "mde")
Shapes = Mapping[str, Mapping[str, Any]]


class DoseCurve(NamedTuple):
    """Tasks that differ on one axis only."""

    axis: str
    tasks: dict[str, float]
    """The dose of each, weakest first."""

    @property
    def labels(self) -> dict[str, str]:
        return {task: f"{dose:g}" for task, dose in self.tasks.items()}


def schema_shape_table(rows: pd.DataFrame, tasks: Shapes, draws: int = DRAWS) -> pd.DataFrame:
    """One row for each backbone, condition, axis and dose, about the field that holds the answer.

    `accuracy` (the reply keeps its schema and the field is right) and `latent_accuracy` with 95% intervals; `difference`, `low`,
    `high`, `general_low`, `general_high`, `p_mcnemar`, `p_adjusted`, `mde` and those with `latent_` are `contrast_table`'s,
    against the first dose (`baseline`), whose own are NaN. `others`: mean share of the other fields that are right, NaN where
    there are none. `possible`: share of items whose right answer fits the schema. `cut`: share of replies whose answer
    is the beginning of the right one and as long as the schema allows. `truncated`: share that the token limit ended.
    `tokens`, `prompt_tokens`: means.

    Raises `UserError` where no two tasks differ in just one property of their schema.
    """
    shaped = {str(name): settings for name, settings in tasks.items() if settings.get("_target_") == KIND}
    there = set(rows["task"].astype(str).unique())
    found = list(curves({name: settings for name, settings in shaped.items() if name in there}))
    if not found:
        raise UserError("no two tasks differ in the shape of their schema: run experiment=schema_shape dose=[fields]")
    rows = rows[rows["fields"].notna() & ~rows["condition"].astype(str).str.endswith(RERUN)]
    names = {task for curve in found for task in curve.tasks}
    own = {name: _scored(rows[rows["task"] == name], shaped[name]) for name in sorted(names)}
    return pd.DataFrame([line for curve in found for line in _lines(curve, own, draws)])


def curves(shapes: Shapes) -> Iterator[DoseCurve]:
    """The curves of at least two doses, in the order of the axes. A level that the settings leave out is the base's."""
    levels = {task: {axis: settings.get(axis, base) for axis, base in BASE.items()} for task, settings in shapes.items()}
    for axis in BASE:
        alike: dict[Any, dict[str, float]] = defaultdict(dict)
        for task, own in levels.items():
            alike[tuple(level for name, level in own.items() if name != axis)][task] = own[axis]
        for doses in alike.values():
            if len(set(doses.values())) > 1:
                yield DoseCurve(axis, dict(sorted(doses.items(), key=lambda pair: _strength(axis, pair[1]))))


def _strength(axis: str, dose: float) -> float:
    return -dose if axis == LOOSEST_FIRST and dose else dose if axis != LOOSEST_FIRST else -np.inf


def _scored(rows: pd.DataFrame, settings: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of one task, judged by the field with the answer alone."""
    answer, most = settings["notes"]["answer"], settings.get("max_length", 0)
    right = {reading: right_fields(rows, reading) for reading in READINGS}
    (path,) = [name for name in right["latent"].columns if name.rpartition(".")[2] == answer]
    others = right["latent"].drop(columns=path)
    told = [_held(text, path) for text in rows["gold"]]
    given = [_held(text, path) for text in rows["answer"]]
    return rows.assign(
        correct=right["strict"][path].to_numpy(bool),
        marked_correct=right["strict"][path].to_numpy(bool),
        latent_correct=right["latent"][path].to_numpy(bool),
        others=others.mean(axis=1).to_numpy() if len(others.columns) else np.nan,
        possible=[not most or len(one) <= most for one in told],
        cut=[bool(most) and len(one) == most < len(gold) and gold.startswith(one) for one, gold in zip(given, told)],
    )


def _held(text: Any, path: str) -> str:
    """What a record holds at a path, as text; empty where there is no record or nothing at the path."""
    held = json.loads(text) if isinstance(text, str) and text.startswith("{") else {}
    for name in path.split("."):
        held = held.get(name) if isinstance(held, dict) else None
    return held if isinstance(held, str) else ""


def _lines(curve: DoseCurve, own: Mapping[str, pd.DataFrame], draws: int) -> Iterator[dict[str, Any]]:
    """The rows of a curve. Doses take the place of conditions, so that they pair by item."""
    whole = pd.concat([own[task].assign(dose=label) for task, label in curve.labels.items()], ignore_index=True)
    whole = whole.assign(task=curve.axis, asked=whole["condition"].astype(str), condition=whole["dose"])
    for (backbone, asked), group in whole.groupby(["backbone", "asked"], observed=True):
        yield from _of_condition(curve, group, {"backbone": str(backbone), "condition": str(asked)}, draws)


def _of_condition(curve: DoseCurve, rows: pd.DataFrame, names: Mapping[str, str], draws: int) -> Iterator[dict[str, Any]]:
    there = set(rows["condition"])
    doses = {label: curve.tasks[task] for task, label in curve.labels.items() if label in there}
    baseline = next(iter(doses))
    apart = contrast_table(rows, reference=baseline, draws=draws).set_index("condition") if len(doses) > 1 else pd.DataFrame()
    one = cube(rows, names["backbone"], curve.axis)
    for label, dose in doses.items():
        yield {
            **names,
            "axis": curve.axis,
            "dose": dose,
            "baseline": doses[baseline],
            **_accuracies(one, label),
            **_paired(apart.loc[label] if label in apart.index else {}),
            **_beside(rows[rows["condition"] == label]),
        }


def _accuracies(one: Cube, label: str) -> dict[str, Any]:
    found: dict[str, Any] = {"n": len(np.unique(one.item_U[np.isfinite(one.strict_CU[one.at(label)])]))}
    for reading, name in READINGS.items():
        found |= dict(zip((f"{name}accuracy{end}" for end in ENDS), condition_accuracy(one, label, reading)))
    return found


def _paired(line: Mapping[str, Any] | pd.Series) -> dict[str, Any]:
    names = [f"{start}{name}" for start in READINGS.values() for name in PAIRED]
    return {name: line.get(name, np.nan) for name in (*names, *COMMON)}


def _beside(rows: pd.DataFrame) -> dict[str, float]:
    return {
        **{name: float(rows[name].mean()) for name in ("others", "possible", "cut")},
        "truncated": float((rows["status"] == "truncated").mean()),
        "tokens": float(rows["completion_tokens"].mean()),
        "prompt_tokens": float(rows["prompt_tokens"].mean()),
    }
