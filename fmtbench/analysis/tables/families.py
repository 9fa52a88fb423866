"""The ladder by family and size of the models: who writes JSON that a parser accepts, and who knows the answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from fmtbench.analysis.tables.ladder import COLUMNS, STEPS, right_at
from fmtbench.errors import UserError

SIZE = re.compile(r"(?<![\w.])(?:(\d+)x)?(\d+(?:\.\d+)?)([bm])(?![a-z])", re.I)
"""`8B`, `0.5B`, `8x7B`, `135M` in a model's name."""
POINT = re.compile(r"(?<=_0)_(?=\d)")
"""Decimal points as ids below 1B write them: `qwen2_5_coder_0_5b`."""
CLASSES = {"up to 10B": 10.0, "10B to 100B": 100.0, "above 100B": float("inf")}
UNKNOWN, OTHER = "not published", "other"


def families_table(rows: pd.DataFrame, families: Mapping[str, str]) -> pd.DataFrame:
    """One row for each task, condition and group: `by` (family or size), `group`, `backbones`, and the mean accuracy of these at
    each step. `families`: for each family, a regular expression that matches the names of its models.

    Raises `UserError` for rows that the ladder never read.
    """
    if not set(COLUMNS) <= set(rows.columns):
        raise UserError("it needs texts that were read by the ladder: python -m experiments.rescore reads transcripts so")
    keys = ["task", "condition", "backbone"]
    right = pd.DataFrame(right_at(rows), columns=list(STEPS), index=rows.index).join(rows[keys].astype(str))
    means = right.groupby(keys, sort=True).mean().reset_index()
    groupings = {
        "family": [family_of(name, families) for name in means["backbone"]],
        "size": [class_of(name) for name in means["backbone"]],
    }
    lines: list[dict[str, Any]] = []
    for by, groups in groupings.items():
        for (task, condition, group), own in means.groupby(
            ["task", "condition", pd.Series(groups, index=means.index)], sort=True
        ):
            key = {"task": task, "condition": condition, "by": by, "group": group, "backbones": len(own)}
            lines.append(key | {step: own[step].mean() for step in STEPS})
    return pd.DataFrame(lines)


def size_of(name: str) -> float | None:
    """Billions of parameters, if the name says so."""
    found = SIZE.search(POINT.sub(".", name).replace("_", "-"))
    return float(found[1] or 1) * float(found[2]) / (1000 if found[3] in "mM" else 1) if found else None


def class_of(name: str) -> str:
    size = size_of(name)
    return UNKNOWN if size is None else next(label for label, most in CLASSES.items() if size <= most)


def family_of(name: str, families: Mapping[str, str]) -> str:
    return next((family for family, pattern in families.items() if re.search(pattern, name, re.I)), OTHER)
