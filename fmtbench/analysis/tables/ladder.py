"""The ladder of readers: is it the model, or the parser? Accuracy as the reader forgives more, starting from a bare JSON parser.

The steps are those of `readers.ladder`, then `marked` and `latent`. Whether a step finds an answer depends on the reply alone,
so the gaps between steps belong to the reader, and models whose ranks change between steps are ranked by their punctuation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import spearmanr

from fmtbench.analysis.statistics.bootstrap import FEWER_DRAWS, SEED, bootstrap
from fmtbench.analysis.statistics.cube import Array, Sums
from fmtbench.errors import UserError

OBJECTS = ("bare", "unfenced", "in_prose", "control", "escapes")
"""The steps of the object readers, each of which reads everything that the one before it reads."""
READINGS = {"marked": "marked_correct", "latent": "latent_correct"}
STEPS = (*OBJECTS, *READINGS)
COLUMNS = ("ladder_step", "ladder_correct")
ALL = "all"
Verdicts = npt.NDArray[np.bool_]
FEWEST = 3
"""The fewest backbones for a rank correlation."""


def ladder_table(rows: pd.DataFrame, draws: int = FEWER_DRAWS, seed: int = SEED) -> pd.DataFrame:
    """One row for each task, condition, backbone and step: `n` replies, `accuracy` over all of them with a 95% bootstrap
    interval over items, and what the step changes: `forgave` counts replies that were wrong or unread at the step before and
    now are right, `turned` those that no longer are.

    Rows of the backbone `all` hold the mean of the backbones' accuracies, the counts of all, and Spearman's rank correlation of
    the backbones with the step before (`rank_before`) and with latent (`rank_latent`), where there are at least three.
    Raises `UserError` where the ladder read no row, because the texts were not available or were never read.
    """
    if not set(COLUMNS) <= set(rows.columns) or rows["ladder_correct"].isna().all():
        raise UserError(
            "it needs texts that were read by the ladder, and these rows have none: "
            "python -m experiments.rescore reads transcripts so"
        )
    rows = rows[rows["ladder_correct"].notna()]
    lines: list[dict[str, Any]] = []
    for (task, condition), group in rows.groupby(["task", "condition"], sort=True, observed=True):
        key = {"task": task, "condition": condition}
        own = {str(name): list(_lines(one, draws, seed)) for name, one in group.groupby("backbone", sort=True, observed=True)}
        lines += [{**key, "backbone": ALL, **line} for line in _of_all(own)]
        lines += [{**key, "backbone": name, **line} for name, found in own.items() for line in found]
    return pd.DataFrame(lines)


def right_at(rows: pd.DataFrame) -> Verdicts:
    """Whether each reply is right at each of `STEPS`: replies x steps."""
    reached = rows["ladder_step"].map({name: k for k, name in enumerate(OBJECTS)}).fillna(len(OBJECTS)).to_numpy(dtype=int)
    correct = rows["ladder_correct"].to_numpy(dtype=bool)
    objects = [correct & (reached <= k) for k in range(len(OBJECTS))]
    return np.column_stack([*objects, *(rows[name].to_numpy(dtype=bool) for name in READINGS.values())])


def _lines(rows: pd.DataFrame, draws: int, seed: int) -> Iterator[dict[str, Any]]:
    right_NK = right_at(rows)
    low, high = _interval(rows, right_NK, draws, seed)
    for k, step in enumerate(STEPS):
        before = right_NK[:, k - 1] if k else np.zeros(len(rows), dtype=bool)
        yield {
            "step": step,
            "n": len(rows),
            "accuracy": right_NK[:, k].mean(),
            "accuracy_low": low[k],
            "accuracy_high": high[k],
            "forgave": int((right_NK[:, k] & ~before).sum()),
            "turned": int((before & ~right_NK[:, k]).sum()),
        }


def _interval(rows: pd.DataFrame, right_NK: Verdicts, draws: int, seed: int) -> tuple[Array, Array]:
    """Bootstrap over items, each with all its replies."""
    item, items = pd.factorize(rows["item_id"])
    value, count = np.zeros((len(items), 1, len(STEPS))), np.zeros((len(items), 1, len(STEPS)))
    np.add.at(value, (item, 0), right_NK.astype(float))
    np.add.at(count, (item, 0), 1.0)
    return bootstrap(Sums(value, count), draws, seed, rates=True).interval(bounds=(0, 1))


def _of_all(own: dict[str, list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Means over backbones, and how well the backbones keep their ranks."""
    accuracy_BK = np.array([[line["accuracy"] for line in lines] for lines in own.values()])
    for k, step in enumerate(STEPS):
        at = [lines[k] for lines in own.values()]
        counts = {name: sum(line[name] for line in at) for name in ("n", "forgave", "turned")}
        yield {
            "step": step,
            "accuracy": accuracy_BK[:, k].mean(),
            **counts,
            "backbones": len(own),
            "rank_before": _rank(accuracy_BK[:, k - 1], accuracy_BK[:, k]) if k else np.nan,
            "rank_latent": _rank(accuracy_BK[:, k], accuracy_BK[:, -1]),
        }


def _rank(one: Array, other: Array) -> float:
    """Spearman's correlation; NaN for fewer than `FEWEST` backbones, or where all of them are alike."""
    if len(one) < FEWEST or np.ptp(one) == 0 or np.ptp(other) == 0:
        return np.nan
    return float(spearmanr(one, other).statistic)
