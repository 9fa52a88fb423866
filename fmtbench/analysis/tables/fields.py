"""Records field by field: which fields does a format cost, and does it make a model leave out values or invent them?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from fmtbench.analysis.rows.fields import fields_of
from fmtbench.analysis.statistics.accuracy import condition_accuracy
from fmtbench.analysis.statistics.bootstrap import FEWER_DRAWS
from fmtbench.analysis.statistics.cube import RERUN, Array, Cube, cubes, unit_values
from fmtbench.analysis.tables.main import ENDS, paired_differences
from fmtbench.answers.held import FILLED, GOOD
from fmtbench.conditions.axes import REFERENCE

WHOLE, ALL = "(whole record)", "(all fields)"
STATISTICS = ("strict", "latent", "omitted", "hallucinated")
PAIRED = ("strict", "latent"), ("omitted", "hallucinated")
"""Two at a time, since a cube has two readings to hold them."""


def fields_table(rows: pd.DataFrame, reference: str = REFERENCE, draws: int = FEWER_DRAWS) -> pd.DataFrame:
    """`backbone task field condition n` and, with `_low` and `_high`, `strict`, `latent`, `omitted`, `hallucinated` and the
    difference of each from the reference on the same items and prompts (`strict_diff`, ...), as shares.

    `strict` and `latent` count a field as right if its value is right, or if there is none and none is given. `omitted` is the
    share of the gold record's values for which the lenient reader finds nothing, in replies with a record; `hallucinated` the
    share of its empty fields for which it finds a value. NaN where the gold record has none of these. The first rows of a task
    are for the whole record (every field is right), and for all fields: the mean over fields, which is also that over values,
    since every reply is judged on every field. Raises `UserError` where no row has a record for its answer.
    """
    long = fields_of(rows)
    own = rows[rows["fields"].notna()]
    fields = list(dict.fromkeys(long["field"]))
    lines = [line for one in cubes(own) for line in _lines(one, own, fields, reference, draws)]
    return pd.DataFrame(lines)


def _lines(one: Cube, rows: pd.DataFrame, fields: list[str], reference: str, draws: int) -> Iterator[dict[str, Any]]:
    rows = rows[(rows["backbone"] == one.backbone) & (rows["task"] == one.task)]
    long = fields_of(rows)
    scored = {name: _scored(group) for name, group in long.groupby("field", sort=False) if len(group) == len(rows)}
    whole = pd.DataFrame({"strict": rows["correct"].to_numpy(float), "latent": rows["latent_correct"].to_numpy(float)})
    tables = {WHOLE: whole, ALL: _mean(scored)} | {name: scored[name] for name in fields if name in scored}
    for name, table in tables.items():
        arrays = dict(zip(table.columns, unit_values(rows, table)))
        yield from _of_field(one, name, arrays, reference, draws)


def _scored(field: pd.DataFrame) -> pd.DataFrame:
    """The statistics of each reply for one field, as 0, 1 or NaN, in the order of the rows."""
    filled, unread = (field["gold"] == FILLED).to_numpy(), (field["latent"] == "unread").to_numpy()
    shares = {name: field[name].isin(GOOD).to_numpy(float) for name in ("strict", "latent")}
    for name, among in (("omitted", filled & ~unread), ("hallucinated", ~filled & ~unread)):
        shares[name] = np.where(among, (field["latent"] == name).to_numpy(float), np.nan)
    return pd.DataFrame(shares)


def _mean(scored: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Means over the fields of each reply."""
    stacked = np.stack([table[list(STATISTICS)].to_numpy() for table in scored.values()])
    count = np.isfinite(stacked).sum(axis=0)
    mean = np.divide(np.nansum(stacked, axis=0), count, out=np.full(count.shape, np.nan), where=count > 0)
    return pd.DataFrame(mean, columns=list(STATISTICS))


def _of_field(one: Cube, field: str, arrays: dict[str, Array], reference: str, draws: int) -> Iterator[dict[str, Any]]:
    conditions = sorted((name for name in one.conditions if not name.endswith(RERUN)), key=lambda name: (name != reference, name))
    lines: dict[str, dict[str, Any]] = {
        name: {"backbone": one.backbone, "task": one.task, "field": field, "condition": name, "n": _items(one, name)}
        for name in conditions
    }
    for names in PAIRED:
        if not set(names) <= set(arrays):
            continue
        held = one._replace(strict_CU=arrays[names[0]], latent_CU=arrays[names[1]])
        for name, slot in zip(names, PAIRED[0]):
            apart = paired_differences(held, conditions, reference, slot, draws)
            for condition, line in lines.items():
                line |= dict(zip((f"{name}{end}" for end in ENDS), _share(held, condition, slot)))
                line |= dict(zip((f"{name}_diff{end}" for end in ENDS), apart[condition]))
    yield from lines.values()


def _items(one: Cube, condition: str) -> int:
    return len(np.unique(one.item_U[np.isfinite(one.strict_CU[one.at(condition)])]))


def _share(one: Cube, condition: str, slot: str) -> tuple[float, ...]:
    """The share with its interval; NaN where no reply has the statistic."""
    if not np.isfinite(one.scores(slot)[one.at(condition)]).any():
        return (np.nan, np.nan, np.nan)
    return tuple(condition_accuracy(one, condition, slot))
