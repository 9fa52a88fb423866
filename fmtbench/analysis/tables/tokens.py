"""How replies are spelt: how often a token is not the one that the tokenizer would choose for the same text.

A mask changes how a model spells, since it allows any tokens whose characters the grammar allows. Free replies, which are
sometimes spelt in their own way too, are the null.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from fmtbench.analysis.statistics.bootstrap import FEWER_DRAWS, SEED
from fmtbench.analysis.statistics.cube import RERUN
from fmtbench.analysis.statistics.per_item import mean_of_ratio, within_items
from fmtbench.analysis.tables.mass import ITEM, PROBE, named
from fmtbench.errors import UserError
from fmtbench.formats.parts import PARTS

CELL = ["backbone", "task", "condition"]
REPLY = [*ITEM, "sample"]


def tokens_table(
    rows: pd.DataFrame, spelling_tokens: pd.DataFrame | None = None, draws: int = FEWER_DRAWS, seed: int = SEED
) -> pd.DataFrame:
    """One row for each backbone, task, condition and part, free ones included; the end token is never counted.

    `respelt`: share of tokens, with a bootstrap interval over items. For the whole reply also `any_respelt`, the share of replies
    with such a token, `before_answer`, with one before the answer, and `key_effect` with `error` over `n_both` items: accuracy of
    replies whose key is respelt less that of others to the same item. `left_out`: replies that cannot be compared, by
    reason. Raises `UserError` where nothing was probed.
    """
    if spelling_tokens is None:
        raise UserError(f"no folder holds spelling.parquet: {PROBE}")
    found = spelling_tokens[~spelling_tokens["condition"].astype(str).str.endswith(RERUN)]
    lines = []
    for key, cell in found.groupby(CELL, observed=True, sort=True):
        problems = cell["problem"].dropna().astype(str).value_counts().sort_index()
        left_out = {"left_out": ", ".join(f"{reason} {count}" for reason, count in problems.items())}
        tokens = cell[cell["problem"].isna() & (cell["part"] != "end")]
        lines += [dict(zip(CELL, key)) | line | left_out for line in _lines(tokens, draws, seed)]
    if not lines:
        raise UserError("no reply could be spelt again: their engines told no tokens")
    return pd.DataFrame(lines)


def _lines(tokens: pd.DataFrame, draws: int, seed: int) -> Iterator[dict[str, Any]]:
    tokens = tokens.assign(respelt=tokens["respelt"].astype(bool))
    for part in ("all", *PARTS):
        own = tokens if part == "all" else tokens[tokens["part"] == part]
        if own.empty:
            continue
        groups = own.groupby(ITEM, observed=True)["respelt"]
        share = mean_of_ratio(groups.sum().to_numpy(float), groups.size().to_numpy(float), draws, seed)
        counted = {"part": part, "replies": len(own.drop_duplicates(REPLY)), "tokens": len(own), **named("respelt", share)}
        yield counted | (_of_replies(tokens) if part == "all" else {})


def _of_replies(tokens: pd.DataFrame) -> dict[str, Any]:
    answers = tokens[tokens["part"] == "answer"].groupby(REPLY, observed=True)["position"].min().rename("answer")
    tokens = tokens.merge(answers.reset_index(), on=REPLY, how="left")
    early = tokens["respelt"] & ~(tokens["position"] >= tokens["answer"])  # without an answer, the whole reply is before it
    tokens = tokens.assign(early=early, key=tokens["respelt"] & (tokens["part"] == "key"))
    by_reply = tokens.groupby(REPLY, observed=True).agg(
        any=("respelt", "any"), early=("early", "any"), key=("key", "any"), correct=("correct", "first")
    )
    item = by_reply.reset_index().groupby(ITEM, observed=True).ngroup()
    replies = by_reply.reset_index(drop=True)
    effect, error, both = within_items(replies["correct"], replies["key"], item)
    return {
        "any_respelt": float(replies["any"].mean()),
        "before_answer": float(replies["early"].mean()),
        "key_effect": effect if both else np.nan,
        "error": error,
        "n_both": both,
    }
