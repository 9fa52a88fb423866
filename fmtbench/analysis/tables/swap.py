"""Prefix swap: whether letting go of a reply that was begun in a format brings the answer back, and until where.

Of a rationale's first part, by where it is from and what goes on from it (probes/swap.py): Hold, Release, Free and Bind. Lock-in
L(f) = Free(f) - Release(f) is what releasing no longer repairs, drag C(f) = Release(f) - Hold(f) what it still does. The point of
no return f* is the first f at which Release is no more than half-way from Hold(1) to Free(f), where that is a way at all.

Both are of the latent reading, with the strict one beside it: a reply that is released often ends without stating its answer as
the free contract demands, which the strict reading takes for damage.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from fmtbench.analysis.statistics.bootstrap import FEWER_DRAWS, SEED, bootstrap
from fmtbench.analysis.statistics.cube import Sums
from fmtbench.analysis.statistics.per_item import NOTHING, Interval
from fmtbench.analysis.tables.mass import ITEM, named
from fmtbench.errors import UserError
from fmtbench.probes.swap import estimates

LOCKED = 0.5
"""An item is locked where its solve rate in the format is lower by as much, on the half of the samples that chooses."""
GROUP = ["backbone", "task", "free", "held"]
ARMS = ("hold", "release", "free_arm", "bind")
READINGS = {"": "latent_correct", "strict_": "correct"}
NEVER = "no point of no return: releasing repairs to the end"
NO_LOSS = "no point of no return: Free(1) is not above Hold(1)"
NO_CHOICE = "nothing says which items are locked: give the results that were swapped as well"


def swap_table(rows: pd.DataFrame, swaps: pd.DataFrame | None = None, draws: int = FEWER_DRAWS, seed: int = SEED) -> pd.DataFrame:
    """One line for each backbone, task, pair of conditions, choice of items and f; accuracies in 0..1.

    `items`: all, or those that are locked on the half of the samples that chooses; everything else is of the other half. `hold
    release free_arm bind`: latent accuracy, mean over items. `L`, `C`: with 95% bootstrap intervals over items; `strict_L`,
    `strict_C` likewise. `cut_*`: endings that the token limit cut. `f_star`: see above, the same on each line of a curve.
    `left_out`: pairs of replies that are in no arm. Raises `UserError` where nothing was swapped.
    """
    if swaps is None:
        raise UserError("nothing was swapped: run python -m experiments.lockin results=FOLDER probe=swap")
    estimated = swaps[swaps["sample"].map(estimates)]
    chosen = rows[~rows["sample"].map(estimates)]
    lines: list[dict[str, Any]] = []
    for key, group in estimated.groupby(GROUP, observed=True, sort=True):
        told = dict(zip(GROUP, key))
        curve = curves(group, told)
        locked = _locked(chosen, told)
        for items, some in (("all", curve), ("locked", curve[curve["item_id"].isin(locked or set())])):
            note = NO_CHOICE if items == "locked" and locked is None else ""
            for line in _lines(some, draws, seed):
                lines.append({**told, "items": items, **line, "left_out": group["left_out"].iloc[0]})
            if note:
                lines.append({**told, "items": items, "n": 0, "note": note, "left_out": group["left_out"].iloc[0]})
    return pd.DataFrame(lines)


def curves(group: pd.DataFrame, told: dict[str, Any]) -> pd.DataFrame:
    """A line for each item, prompt, seed and f: means of each arm over the samples, as `hold`, `strict_hold` and `cut_hold`."""
    held, free = told["held"], told["free"]
    names = {(held, held): "hold", (held, free): "release", (free, free): "free_arm", (free, held): "bind"}
    arms = pd.Series([names.get(pair, "") for pair in zip(group["origin"], group["mode"])], index=group.index)
    told_of = group.assign(arm=arms, cut=group["finish_reason"].astype(str) == "length")
    told_of = told_of[told_of["arm"] != ""].astype({"item_id": str, "prompt": str, **dict.fromkeys(READINGS.values(), float)})
    wide = told_of.pivot_table(index=[*ITEM, "fraction"], columns="arm", values=[*READINGS.values(), "cut"], aggfunc="mean")
    prefixes = {column: prefix for prefix, column in READINGS.items()} | {"cut": "cut_"}
    wide.columns = [f"{prefixes[value]}{arm}" for value, arm in wide.columns]
    every = [f"{prefix}{arm}" for prefix in prefixes.values() for arm in ARMS]
    return wide.reindex(columns=every).dropna().reset_index()


def _locked(chosen: pd.DataFrame, told: dict[str, Any]) -> set[str] | None:
    """The items that are locked in the samples that choose; None where these are not there."""
    own = chosen[(chosen["backbone"] == told["backbone"]) & (chosen["task"] == told["task"])]
    rates = own.astype({"item_id": str, "condition": str, "latent_correct": float})
    rates = rates.groupby(["item_id", "condition"])["latent_correct"].mean().unstack()
    if not {told["free"], told["held"]} <= set(rates.columns):
        return None
    return set(rates.index[rates[told["free"]] - rates[told["held"]] >= LOCKED])


def _lines(curve: pd.DataFrame, draws: int, seed: int) -> Iterator[dict[str, Any]]:
    if curve.empty:
        return
    point, note = point_of_no_return(curve, draws, seed)
    for fraction, at in curve.groupby("fraction"):
        line: dict[str, Any] = {"fraction": fraction, "n": int(at["item_id"].nunique())}
        line |= dict(at[[*ARMS]].mean())
        for prefix in READINGS:
            line |= named(f"{prefix}L", difference(at, f"{prefix}free_arm", f"{prefix}release", draws, seed))
            line |= named(f"{prefix}C", difference(at, f"{prefix}release", f"{prefix}hold", draws, seed))
        yield line | dict(at[[f"cut_{arm}" for arm in ARMS]].mean()) | {"f_star": point, "note": note}


def difference(at: pd.DataFrame, one: str, other: str, draws: int, seed: int) -> Interval:
    """Mean over items of the first less the second, prompts and seeds of an item together."""
    apart = (at[one] - at[other]).groupby(at["item_id"]).agg(["sum", "count"])
    if apart.empty:
        return NOTHING
    value, count = (apart[name].to_numpy(dtype=float)[:, None, None] for name in ("sum", "count"))
    found = bootstrap(Sums(value, count), draws, seed)
    low, high = found.interval(bounds=(-1, 1))
    return Interval(*(float(end[0]) + 0.0 for end in (found.means_K, low, high)))


def point_of_no_return(curve: pd.DataFrame, draws: int, seed: int) -> tuple[float, str]:
    """f*, and why there is none."""
    last = curve[curve["fraction"] == curve["fraction"].max()]
    if not difference(last, "free_arm", "hold", draws, seed).low > 0:
        return np.nan, NO_LOSS
    floor = last["hold"].mean()
    for fraction, at in curve.groupby("fraction"):
        if at["release"].mean() <= (at["free_arm"].mean() + floor) / 2:
            return float(fraction), ""
    return np.nan, NEVER
