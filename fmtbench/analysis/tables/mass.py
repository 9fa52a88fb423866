"""Removed mass by condition and part of the reply: how much a mask removes, and where.

The tax of a token is -ln of the mass that the mask left to the model, in nats; an override is a token at which the model's
first choice was forbidden. Parts sum to the whole; the rows below them (from `bridge` on) are of tokens already counted there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from fmtbench.analysis.statistics.bootstrap import FEWER_DRAWS, SEED
from fmtbench.analysis.statistics.cube import RERUN
from fmtbench.analysis.statistics.per_item import NOTHING, Interval, mean_of_ratio, paired_difference, within_items
from fmtbench.errors import UserError
from fmtbench.formats.parts import PARTS

CELL = ["backbone", "task", "condition", "against", "decoder", "dtype"]
ITEM = ["item_id", "prompt", "seed"]
FIRST = 5
"""Tokens of the rationale that get a row of their own."""
SHAM = "sham"
PROBE = "run python -m experiments.lockin results=FOLDER probe=mass, which reads the replies once more"


def probed(tokens: pd.DataFrame | None) -> pd.DataFrame:
    """The tokens, and the replies without figures. Raises `UserError` where nothing was probed."""
    if tokens is None:
        raise UserError(f"no folder holds mass.parquet: {PROBE}")
    return tokens[~tokens["condition"].astype(str).str.endswith(RERUN)]


def mass_table(
    rows: pd.DataFrame,
    mass_tokens: pd.DataFrame | None = None,
    compared: str = "json_schema",
    draws: int = FEWER_DRAWS,
    seed: int = SEED,
) -> pd.DataFrame:
    """One row for each condition, mask that its replies were replayed against, and part.

    `tax`, `tax_reply`: nats, the second with a 95% bootstrap interval over items. `difference`: of `tax_reply`, from the
    condition `compared`, paired by item. `share`: of the reply's tax. `overrides`: share of tokens. `allowed`: median. `floor`:
    tax of a token under the sham, whose grammar allows all texts: anything below it is due to the machinery. `wrong_pays`: how
    much more tax wrong replies pay than right ones to the same item, in nats, with its standard error `wrong_error` over the
    `n_both` items that have both. `left_out`: replies without figures, by reason. Raises `UserError` where nothing was
    probed.
    """
    found = probed(mass_tokens)
    tokens, floors = measured(found), _floors(measured(found))
    problems = found[found["problem"].notna()]
    lines = []
    for key in sorted(found.groupby(CELL, observed=True).groups):
        told = dict(zip(CELL, key))
        own, other = _cell(tokens, told), _cell(tokens, told | {"condition": compared})
        counts = _cell(problems, told)["problem"].astype(str).value_counts().sort_index()
        tail = {
            "floor": floors.get((told["backbone"], told["decoder"], told["dtype"]), np.nan),
            "left_out": ", ".join(f"{reason} {count}" for reason, count in counts.items()),
        }
        if told["condition"] == compared:
            other = other[:0]
        lines += [told | line | tail for line in _lines(own, other, draws, seed)] or [told | {"part": "all", "replies": 0} | tail]
    return pd.DataFrame(lines)


def measured(found: pd.DataFrame) -> pd.DataFrame:
    """Tokens with their tax; for free replies only those of the rationale, since the rest would not be in a string."""
    tokens = found[found["problem"].isna()]
    tokens = tokens[(tokens["against"] != "string") | (tokens["part"] == "reasoning")]
    return tokens.assign(
        tax=-tokens["left"] + 0.0, item=pd.Series(list(zip(*(tokens[name] for name in ITEM))), index=tokens.index)
    )


def _cell(tokens: pd.DataFrame, told: dict[str, Any]) -> pd.DataFrame:
    keep = np.ones(len(tokens), bool)
    for name in CELL:
        keep &= (tokens[name] == told[name]).to_numpy()
    return tokens[keep]


def _floors(tokens: pd.DataFrame) -> dict[Any, float]:
    """Tax of a token under the sham by backbone, decoder and dtype, over all tasks."""
    sham = tokens[(tokens["condition"] == SHAM) & (tokens["against"] == "own")]
    return sham.groupby(["backbone", "decoder", "dtype"], observed=True)["tax"].mean().to_dict()


def subsets(tokens: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """All tokens, those of each part, and those at places of interest."""
    yield "all", tokens
    for part in PARTS:
        yield part, tokens[tokens["part"] == part]
    yield "bridge", tokens[tokens["bridge"].astype(bool)]
    yield "first token", tokens[tokens["position"] == 0]
    yield "behind the first token", tokens[tokens["position"] > 0]
    rationale = tokens[tokens["part"] == "reasoning"].sort_values("position", kind="stable")
    place = rationale.groupby(["request_key", "prompt", "seed", "sample"], observed=True, sort=False).cumcount()
    yield f"first {FIRST} of the rationale", rationale[place < FIRST]


def _lines(own: pd.DataFrame, other: pd.DataFrame, draws: int, seed: int) -> Iterator[dict[str, Any]]:
    replies_I, total = replies_by_item(own), own["tax"].sum()
    others = dict(subsets(other)) if len(other) else {}
    for part, tokens in subsets(own):
        if tokens.empty:
            continue
        tax_I = tokens.groupby("item", observed=True)["tax"].sum().reindex(replies_I.index, fill_value=0.0)
        mean = mean_of_ratio(tax_I.to_numpy(), replies_I.to_numpy(dtype=float), draws, seed)
        difference = NOTHING
        if part in others:
            difference = _difference(tax_I / replies_I, others[part], replies_by_item(other), draws, seed)
        yield {
            "part": part,
            "replies": int(replies_I.sum()),
            "tokens": len(tokens),
            "tax": float(tokens["tax"].mean()),
            **named("tax_reply", mean),
            **named("difference", difference),
            "share": float(tokens["tax"].sum() / total) if total > 0 else np.nan,
            "overrides": float(tokens["override"].astype(bool).mean()),
            "allowed": float(tokens["allowed"].median()),
            **_by_verdict(tokens),
        }


def _by_verdict(tokens: pd.DataFrame) -> dict[str, float]:
    """Over replies that have such a token; differences between items cancel."""
    replies = tokens.groupby(["request_key", *ITEM, "sample"], observed=True, sort=False)
    found = replies.agg(tax=("tax", "sum"), item=("item", "first"), correct=("correct", "first"))
    difference, error, both = within_items(found["tax"], ~found["correct"].astype(bool), found["item"])
    return {"wrong_pays": difference, "wrong_error": error, "n_both": both}


def _difference(mine: pd.Series, tokens: pd.DataFrame, replies_I: pd.Series, draws: int, seed: int) -> Interval:
    tax_I = tokens.groupby("item", observed=True)["tax"].sum().reindex(replies_I.index, fill_value=0.0)
    return paired_difference(mine, tax_I / replies_I, draws, seed)


def replies_by_item(tokens: pd.DataFrame) -> pd.Series:
    """How many replies each item has, whichever part of them is measured."""
    return tokens.drop_duplicates(["item", "sample"]).groupby("item", observed=True).size()


def named(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
