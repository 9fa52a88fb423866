"""Prefix swap: whether letting go of a reply that was begun in a format brings the answer back, and up to which point.

The arms differ in where the first part of the rationale is from and what continues it (probes/swap.py): Hold, Release, Free and
Bind. Lock-in L(f) = Free(f) - Release(f) is what releasing no longer repairs, drag C(f) = Release(f) - Hold(f) what it still
does. The point of no return f* is the first f at which Release is no more than half-way from Hold(1) to Free(f), provided that
Free(1) is above Hold(1).

Both are for the latent reading, with the strict one alongside: a reply that is released often ends without stating its answer as
the free contract demands, which the strict reading takes for damage.

Two nulls go with them. Greedy replies that continue from prefixes of their own should end as they ended. And Hold is a fresh
ending of a text whose own ending was drawn after the tokens that the mask made the model write: the difference between the two
is due to spelling.
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
"""An item is locked if its solve rate in the format is lower by at least this, on the half of the samples that chooses."""
GROUP = ["backbone", "task", "free", "held"]
ARMS = ("hold", "release", "free_arm", "bind")
READINGS = {"": "latent_correct", "strict_": "correct"}
NEVER = "no point of no return: releasing repairs to the end"
NO_LOSS = "no point of no return: Free(1) is not above Hold(1)"
NO_CHOICE = "nothing says which items are locked: give the results that were swapped as well"


def swap_table(
    rows: pd.DataFrame,
    swaps: pd.DataFrame | None = None,
    greedy_swaps: pd.DataFrame | None = None,
    draws: int = FEWER_DRAWS,
    seed: int = SEED,
) -> pd.DataFrame:
    """One row for each backbone, task, condition that holds, choice of items and f; accuracies in 0..1. The `reference` lets go.

    `items`: all, or those that are locked on the half of the samples that chooses; everything else is from the other half. `hold
    release free_arm bind`: latent accuracy, mean over items. `L`, `C`: with 95% bootstrap intervals over items; `strict_L`,
    `strict_C` likewise. `cut_*`: endings that the token limit cut. `f_star`: see above, the same on each row of a curve.
    `fresh`: Hold less the replies' own endings. `same`: share of greedy replies that end as they ended, over both conditions,
    and `same_change`, how many more of them are right, as a share, with its interval. `left_out`: pairs of replies that are in no
    arm. Raises `UserError` where nothing was swapped.
    """
    if swaps is None:
        raise UserError("nothing was swapped: run python -m experiments.lockin results=FOLDER probe=swap")
    estimated = rows["sample"].map(estimates).astype(bool)
    lines: list[dict[str, Any]] = []
    for key, group in swaps[swaps["sample"].map(estimates)].groupby(GROUP, observed=True, sort=True):
        told = dict(zip(GROUP, key))
        curve = curves(group, _own(rows[estimated], told), told)
        locked = _locked(_of(rows[~estimated], told), told)
        null = _greedy(greedy_swaps, told, draws, seed)
        head = {"backbone": told["backbone"], "task": told["task"], "condition": told["held"], "reference": told["free"]}
        tail = {"left_out": group["left_out"].iloc[0]}
        for items, some in (("all", curve), ("locked", curve[curve["item_id"].isin(locked or set())])):
            found = _lines(some, draws, seed)
            lines += [{**head, "items": items, **line, **null.get(line["fraction"], {}), **tail} for line in found]
        if locked is None:
            lines.append({**head, "items": "locked", "n": 0, "note": NO_CHOICE, **tail})
    return pd.DataFrame(lines)


# -- from rows to curves


def curves(group: pd.DataFrame, own: pd.DataFrame, told: dict[str, Any]) -> pd.DataFrame:
    """One row for each item, prompt, seed and f: means over the samples of each arm, as `hold`, `strict_hold` and `cut_hold`, and
    of the replies' `own` endings in the format."""
    held, free, unit = told["held"], told["free"], [*ITEM, "sample"]
    names = {(held, held): "hold", (held, free): "release", (free, free): "free_arm", (free, held): "bind"}
    arms = [names.get(pair, "") for pair in zip(group["origin"].astype(str), group["mode"].astype(str))]
    rows = _plain(group.assign(arm=arms, cut=group["finish_reason"].astype(str) == "length"))
    rows = rows[rows["arm"] != ""].merge(own[[*unit, "own"]], on=unit, how="left")
    long = rows.groupby([*ITEM, "fraction", "arm"])[[*READINGS.values(), "cut", "own"]].mean().unstack("arm")
    columns = {(column, arm): f"{prefix}{arm}" for prefix, column in {**READINGS, "cut_": "cut"}.items() for arm in ARMS}
    found = pd.DataFrame({name: long.get(place, np.nan) for place, name in columns.items()}, index=long.index)
    found = found.assign(own=long.get(("own", "hold"), np.nan))
    return found.dropna(subset=list(columns.values())).reset_index()


def _plain(rows: pd.DataFrame) -> pd.DataFrame:
    """Names as text rather than categories, whose products would be enormous; verdicts as numbers."""
    return rows.astype({"item_id": str, "prompt": str, "condition": str, **dict.fromkeys(READINGS.values(), float)})


def _of(rows: pd.DataFrame, told: dict[str, Any]) -> pd.DataFrame:
    return _plain(rows[(rows["backbone"] == told["backbone"]) & (rows["task"] == told["task"])])


def _own(rows: pd.DataFrame, told: dict[str, Any]) -> pd.DataFrame:
    """How the replies in the format ended."""
    ended = _of(rows, told)
    return ended[ended["condition"] == told["held"]].rename(columns={"latent_correct": "own"})


def _locked(rows: pd.DataFrame, told: dict[str, Any]) -> set[str] | None:
    """The items that are locked in the samples that choose; None where these are missing."""
    rates = rows.groupby(["item_id", "condition"])["latent_correct"].mean().unstack()
    if not {told["free"], told["held"]} <= set(rates.columns):
        return None
    return set(rates.index[rates[told["free"]] - rates[told["held"]] >= LOCKED])


# -- from curves to lines


def _lines(curve: pd.DataFrame, draws: int, seed: int) -> Iterator[dict[str, Any]]:
    if curve.empty:
        return
    point, note = point_of_no_return(curve, draws, seed)
    for fraction, at in curve.groupby("fraction"):
        line: dict[str, Any] = {"fraction": fraction, "n": int(at["item_id"].nunique())}
        line |= dict(at[[*ARMS]].mean())
        for prefix in READINGS:
            one_request = fraction == 0  # then L is zero by definition, and has no interval
            line |= named(f"{prefix}L", difference(at, f"{prefix}free_arm", f"{prefix}release", draws, seed, one_request))
            line |= named(f"{prefix}C", difference(at, f"{prefix}release", f"{prefix}hold", draws, seed))
        line |= named("fresh", difference(at.dropna(subset=["own"]), "hold", "own", draws, seed))
        yield line | dict(at[[f"cut_{arm}" for arm in ARMS]].mean()) | {"f_star": point, "note": note}


def difference(at: pd.DataFrame, one: str, other: str, draws: int, seed: int, constant: bool = False) -> Interval:
    """Mean over items of the first less the second, pooling an item's prompts and seeds; `constant`: the two are the same."""
    apart = (at[one] - at[other]).groupby(at["item_id"]).agg(["sum", "count"])
    if apart.empty:
        return NOTHING
    value, count = (apart[name].to_numpy(dtype=float)[:, None, None] for name in ("sum", "count"))
    found = bootstrap(Sums(value, count), draws, seed, np.array([constant]))
    low, high = found.interval(bounds=(-1, 1))
    return Interval(*(float(end[0]) + 0.0 for end in (found.means_K, low, high)))


def point_of_no_return(curve: pd.DataFrame, draws: int, seed: int) -> tuple[float, str]:
    """f*, or why there is none."""
    last = curve[curve["fraction"] == curve["fraction"].max()]
    if not difference(last, "free_arm", "hold", draws, seed).low > 0:
        return np.nan, NO_LOSS
    floor = last["hold"].mean()
    for fraction, at in curve.groupby("fraction"):
        if at["release"].mean() <= (at["free_arm"].mean() + floor) / 2:
            return float(fraction), ""
    return np.nan, NEVER


def _greedy(rows: pd.DataFrame | None, told: dict[str, Any], draws: int, seed: int) -> dict[float, dict[str, float]]:
    """By f: the share of greedy replies that end as they ended, and how many more of them are right, as a share."""
    if rows is None:
        return {}
    own, key = _of(rows[(rows["free"] == told["free"]) & (rows["held"] == told["held"])], told), [*ITEM, "mode"]
    whole = own[own["fraction"].isna()][[*key, "text", "latent_correct"]]
    cut = own[own["fraction"].notna()].merge(whole, on=key, suffixes=("", "_whole"))
    return {
        float(fraction): {"same": float((at["text"] == at["text_whole"]).mean())}
        | named("same_change", difference(at, "latent_correct", "latent_correct_whole", draws, seed))
        for fraction, at in cut.groupby("fraction")
    }
