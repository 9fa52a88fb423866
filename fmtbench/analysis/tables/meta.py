"""Each contrast across backbones and tasks: its mean, how much it varies, and what one more backbone and task would show.

A study is one backbone on one task. Its error is that over items, for the prompts that were asked; what other prompts would
change is part of how studies differ. Studies share tasks, backbones and prompts, but are treated as independent all the same:
with two backbones the mean describes these two more than backbones in general.

Headroom is the room above both conditions, 1 minus the mean of their accuracies. The reference alone would not do: its error
is also in the difference, with the opposite sign, so chance alone would make differences fall with it (Oldham 1962, Journal of
Chronic Diseases 15:969).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fmtbench.analysis.statistics.bootstrap import variances
from fmtbench.analysis.statistics.cube import Cube, cells, cubes, sums
from fmtbench.analysis.statistics.meta import moderated, pool
from fmtbench.analysis.statistics.pairs import Pair, difference_KU, pairs_of, planned_pairs
from fmtbench.conditions.axes import REFERENCE
from fmtbench.errors import UserError

READINGS = {"strict": "", "latent": "latent_"}
ONE = "one study: nothing to combine"


def meta_table(rows: pd.DataFrame, reference: str = REFERENCE, planned: Sequence[Mapping[str, str] | str] = ()) -> pd.DataFrame:
    """One row for each contrast; shares: the mean `difference` with `low` and `high`, `prediction_low`, `prediction_high`,
    `tau`, `i2`, and `headroom`, by how much the difference changes with each tenth of room above both conditions.

    Strict readings, and latent ones with the prefix `latent_`. `studies`: pairs of backbone and task; those at zero on both
    sides say nothing and are left out (`floors`). Values are NaN with one study, and predictions with two.
    `attrs["studies"]` holds the difference of each. Raises `UserError` where no contrast has two studies.
    """
    wanted = planned_pairs(planned, reference)
    studies = pd.DataFrame([line for one in cubes(rows) for line in _studies(one, pairs_of(one, reference, wanted))])
    if studies.empty or studies.groupby(["condition", "reference"]).size().max() < 2:
        raise UserError(
            "it combines what several backbones or tasks show of a contrast, and each is here with one: run another task"
        )
    groups = studies.groupby(["condition", "reference"], sort=False)
    table = pd.DataFrame([_line(Pair(*map(str, pair)), group) for pair, group in groups])
    table.attrs["studies"] = studies.to_dict("records")
    return table


def _studies(one: Cube, pairs: Sequence[Pair]) -> Iterator[dict[str, Any]]:
    """The contrasts of one backbone and task, with the variance of each difference."""
    one = cells(one)
    pairs = [pair for pair in pairs if np.isfinite(difference_KU(one, [pair])).any()]
    if not pairs:
        return
    summed = {reading: sums(difference_KU(one, pairs, reading), one) for reading in READINGS}
    for k, pair in enumerate(pairs):
        line: dict[str, Any] = {"backbone": one.backbone, "task": one.task, **pair._asdict()}
        for reading, name in READINGS.items():
            both = one.scores(reading)[[one.at(side) for side in pair]]
            accuracy = both[:, np.isfinite(both).all(axis=0)].mean()
            line |= {
                f"{name}difference": summed[reading].means()[k],
                f"{name}variance": variances(summed[reading])[k],
                f"{name}headroom": 1 - accuracy,
                f"{name}floor": accuracy == 0,
            }
        yield line


def _line(pair: Pair, group: pd.DataFrame) -> dict[str, Any]:
    line: dict[str, Any] = {**pair._asdict()}
    for name in READINGS.values():
        kept = group[~group[f"{name}floor"]]
        y, variance, headroom = (kept[f"{name}{column}"].to_numpy(float) for column in ("difference", "variance", "headroom"))
        found, slope = pool(y, variance), moderated(y, variance, headroom)
        ends = {end: np.clip(getattr(found, end), -1, 1) for end in ("low", "high", "prediction_low", "prediction_high")}
        values = {
            "studies": found.studies,
            "floors": len(group) - len(kept),
            "difference": found.mean,
            "low": ends["low"],
            "high": ends["high"],
            "prediction_low": ends["prediction_low"],
            "prediction_high": ends["prediction_high"],
            "tau": found.tau,
            "i2": found.i2,
            **dict(zip(("headroom", "headroom_low", "headroom_high"), (value / 10 for value in slope))),
        }
        line |= {f"{name}{column}": value for column, value in values.items()}
    few = {ONE: line["latent_studies"] == 1, "no study above zero": line["latent_studies"] == 0}
    return line | {"note": "; ".join(note for note, holds in few.items() if holds)}
