"""One masked reply of each backbone, token by token with its text: what a figure shows of a reply.

Texts stay on disk while tables are made; only these few are read.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from fmtbench.analysis.rows.frame import RowsFile

USUAL = "json_schema"
"""The condition whose reply is shown, if it was run."""
CELL = ("backbone", "task", "condition")
COLUMNS = [*CELL, "item_id", "position", "text", "part", "tax", "override"]


def strips(tokens: pd.DataFrame | None, files: Sequence[RowsFile]) -> pd.DataFrame | None:
    """The tokens of these replies, in order, as `COLUMNS`; None if no reply was probed under its own mask."""
    own = tokens[tokens["problem"].isna() & (tokens["against"] == "own")] if tokens is not None else pd.DataFrame()
    found = [_told(chosen(group), files) for _, group in own.groupby("backbone", observed=True)] if len(own) else []
    return pd.concat(found, ignore_index=True) if found else None


def chosen(own: pd.DataFrame) -> pd.DataFrame:
    """The reply with the median tax of its cell: of the usual condition and the first task, under the first decoder."""
    conditions = sorted(set(own["condition"].astype(str)), key=lambda name: (name != USUAL, name))
    own = own[own["condition"] == conditions[0]]
    own = own[(own["task"] == own["task"].astype(str).min()) & (own["decoder"] == own["decoder"].astype(str).min())]
    own = own[own["dtype"] == own["dtype"].astype(str).max()]
    taxes = own.groupby(["request_key", "item_id", "prompt", "seed", "sample"], observed=True)["left"].sum()
    order = taxes.reset_index().sort_values(["left", "request_key", "sample"], kind="stable")
    one = order.iloc[len(order) // 2]
    kept = (own["request_key"] == one["request_key"]) & (own["sample"] == one["sample"]) & (own["item_id"] == one["item_id"])
    return own[kept].sort_values("position", kind="stable")


def _told(reply: pd.DataFrame, files: Sequence[RowsFile]) -> pd.DataFrame:
    text = _text(reply.iloc[0], files)
    ends = reply["end"].astype(int).tolist()
    written = [text[start:end] for start, end in zip([0, *ends], ends)]
    return reply.assign(text=written, tax=-reply["left"] + 0.0, override=reply["override"].astype(bool))[COLUMNS]


def _text(one: pd.Series, files: Sequence[RowsFile]) -> str:
    for file in files:
        cells = file.rows[[*CELL]].drop_duplicates().itertuples(index=False, name=None)
        if file.packed is None and tuple(one[[*CELL]]) in set(cells):
            rows = pd.read_parquet(file.path, columns=["request_key", "text"])
            if (same := rows["request_key"] == one["request_key"]).any():
                return str(rows["text"][same].iloc[0])
    raise AssertionError("tokens are joined to rows by their key")
