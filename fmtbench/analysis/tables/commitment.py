"""Commitment: how likely the right answer is along the rationale, and when the reply's final answer becomes fixed.

At each cut the model has weighed the candidates of the item (probes/commitment.py). Two read-outs are shown next to each other,
since neither is neutral: what both show belongs to the reply, and what only one shows may come from the read-out. Probabilities
are among the candidates; `held` is the total probability of the candidates, and where conditions differ threefold in it, `note`
says so and they are not compared.

The curve begins at its own null: at f = 0 nothing has been said, and what is `fixed` there is decided by the question alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from fmtbench.analysis.statistics.bootstrap import FEWER_DRAWS, SEED
from fmtbench.analysis.statistics.per_item import Interval, mean_of_ratio
from fmtbench.analysis.tables.mass import ITEM, named
from fmtbench.errors import UserError

CURVE = ["backbone", "task", "condition", "readout", "dtype"]
BESIDE = ["backbone", "task", "readout", "dtype"]
"""Keys that the curves of several conditions share."""
APART = 3.0
"""A factor: candidates may hold at most this many times as much in one condition as in another."""
NOTHING = 0.001
"""Probability of the candidates together; less than this says nothing about an answer."""


def commitment_table(
    rows: pd.DataFrame, commitments: pd.DataFrame | None = None, draws: int = FEWER_DRAWS, seed: int = SEED
) -> pd.DataFrame:
    """One row for each backbone, task, condition, read-out and cut.

    `tokens`: of the rationale up to the cut, mean. `p_gold`, `fixed`: means with 95% bootstrap intervals over items, the second
    over replies whose final answer is a candidate. `entropy`: nats. `first_right`: share of replies whose likeliest candidate is
    right. `held`: mean probability of the candidates together. For the whole curve, repeated on each of its rows: `settled` and
    `settled_tokens`, the medians of where the likeliest candidate becomes the final answer for good, in words and in tokens;
    `never`, the share of replies where it is not even at the last cut; `left_out`, the replies without figures by reason, and
    those that state no final answer among the candidates. Raises `UserError` where nothing was read.
    """
    if commitments is None:
        raise UserError("no folder holds commitment.parquet: run python -m experiments.lockin results=FOLDER probe=commitment")
    cuts = commitments[commitments["problem"].isna()]
    cuts = cuts.assign(item=pd.Series(list(zip(*(cuts[name] for name in ITEM))), index=cuts.index))
    notes, lines = notes_of(cuts), []
    for key, every in commitments.groupby(CURVE, observed=True, sort=True):
        told = dict(zip(CURVE, key))
        curve = cuts.loc[cuts.index.intersection(every.index)]
        tail = settled(curve) | {"left_out": left_out(every, curve), "note": notes.get(tuple(told[name] for name in BESIDE), "")}
        lines += [told | line | tail for line in _lines(curve, draws, seed)] or [told | {"replies": 0} | tail]
    return pd.DataFrame(lines)


def _lines(curve: pd.DataFrame, draws: int, seed: int) -> Iterator[dict[str, Any]]:
    for fraction, at in curve.groupby("fraction"):
        yield {
            "fraction": float(fraction),
            "replies": len(at),
            "candidates": float(at["candidates"].mean()),
            "tokens": float(at["tokens"].mean()),
            **named("p_gold", _by_item(at, "p_gold", draws, seed)),
            "entropy": float(at["entropy"].mean()),
            "first_right": float(at["first_right"].astype(float).mean()),
            **named("fixed", _by_item(at, "fixed", draws, seed)),
            "held": float(at["held"].mean()),
        }


def _by_item(at: pd.DataFrame, name: str, draws: int, seed: int) -> Interval:
    groups = at.assign(value=at[name].astype(float)).dropna(subset=["value"]).groupby("item", observed=True)["value"]
    return mean_of_ratio(groups.sum().to_numpy(), groups.size().to_numpy(dtype=float), draws, seed)


def settled(curve: pd.DataFrame) -> dict[str, float]:
    """From which cut on the likeliest candidate is the final answer: medians over the replies that get there."""
    known = curve.dropna(subset=["fixed"]).sort_values("fraction", ascending=False, kind="stable")
    if known.empty:
        return {"settled": np.nan, "settled_tokens": np.nan, "never": np.nan}
    reply = ["request_key", *ITEM, "sample"]
    stays = known[known["fixed"].astype(float).groupby([known[name] for name in reply], observed=True).cummin() == 1]
    first = stays.groupby(reply, observed=True)[["fraction", "tokens"]].min()
    replies = len(known.drop_duplicates(reply))
    return {
        "settled": float(first["fraction"].median()),
        "settled_tokens": float(first["tokens"].median()),
        "never": 1 - len(first) / replies,
    }


def left_out(every: pd.DataFrame, curve: pd.DataFrame) -> str:
    counts = every["problem"].dropna().astype(str).value_counts().sort_index().to_dict()
    last = curve[curve["fraction"] == curve["fraction"].max()]
    if unknown := int(last["fixed"].isna().sum()):
        counts["final_unknown"] = unknown
    return ", ".join(f"{reason} {count}" for reason, count in counts.items())


def notes_of(cuts: pd.DataFrame) -> dict[tuple[str, ...], str]:
    """By backbone, task, read-out and dtype, a note where the candidates' mass differs threefold between conditions, or is nil in
    all of them."""
    means = cuts.groupby([*BESIDE, "fraction", "condition"], observed=True)["held"].mean()
    least, most = (means.groupby([*BESIDE, "fraction"], observed=True).agg(name) for name in ("min", "max"))
    notes: dict[tuple[str, ...], str] = {}
    for (*beside, fraction), low in least.items():
        high = most[(*beside, fraction)]
        if high < NOTHING:
            notes.setdefault(tuple(beside), f"at {fraction:g} the candidates hold less than {NOTHING:g} in every condition")
        elif high >= APART * low:
            said = f"at {fraction:g} the candidates hold {low:.2g} in one condition and {high:.2g} in another"
            notes.setdefault(tuple(beside), said)
    return notes
