"""What probes (`experiments.lockin`) leave beside the rows: one row per token or cut, with its reply's key and verdict.

tokens = probed_tokens(files, MASS)       # None where no folder has that file
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fmtbench.errors import UserError
from fmtbench.store.probed import COLUMNS, MASS, REPEATED, VERSION, VERSION_KEY

REPLY = ["backbone", "task", "condition", "prompt", "seed", "sample", "item_id", "request_key", "correct", "status"]
"""Columns that a token's row takes from the row of its reply."""


LISTS = ("mass", "token_ends", "token_parts")
"""Columns added to the row of a masked reply, with a list in each."""


def probed_tokens(paths: Iterable[Path], name: str) -> pd.DataFrame | None:
    """The tokens or cuts of all cells, plus a row with a `problem` for each reply without figures; None if nothing was probed.

    `paths`: the files of rows. Raises `UserError` for a file that cannot be read.
    """
    found = [_with_replies(path, name) for path in dict.fromkeys(paths) if path.with_name(name).is_file()]
    if not found:
        return None
    tokens = pd.concat(found, ignore_index=True)
    repeated = [*REPLY[:4], *(one for one in REPEATED if one in tokens and one != "request_key")]
    return tokens.astype(dict.fromkeys(repeated, "category"))


def _with_replies(path: Path, name: str) -> pd.DataFrame:
    """Second passes share the rows of the first, so a reply without a row of its own is left out."""
    rows = pd.read_parquet(path, columns=REPLY)
    return read_probed(path.with_name(name), name).merge(rows, on="request_key", how="inner")


def read_probed(path: Path, name: str) -> pd.DataFrame:
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = (str(error).splitlines() or ["damaged"])[0]
        raise UserError(f"{path} cannot be read as parquet ({reason}): delete it, and run experiments.lockin again") from error
    version = (table.schema.metadata or {}).get(VERSION_KEY)
    if version != VERSION or not set(COLUMNS[name]) <= set(table.column_names):
        raise UserError(f"{path} was not written by this version of fmtbench: delete it, and run experiments.lockin again")
    return table.to_pandas()


def with_mass(rows: pd.DataFrame, path: Path, decoders: Iterable[str] = ()) -> pd.DataFrame:
    """Rows with the columns `mass` (what the mask left at each token), `token_ends` and `token_parts`, where `mass.parquet` lies
    beside them.

    `decoders`: those named in the manifest, whose masks count; if it names none, or none of them was replayed, the first does.
    """
    beside = path.with_name(MASS)
    if not beside.is_file() or "request_key" not in rows:
        return rows
    tokens = read_probed(beside, MASS)
    tokens = tokens[tokens["problem"].isna() & (tokens["against"] == "own")]
    known = sorted(set(tokens["decoder"]))
    chosen = next((one for one in decoders if one in known), known[0] if known else None)
    tokens = tokens[tokens["decoder"] == chosen]
    tokens = tokens[tokens["dtype"] == tokens["dtype"].max()]  # float32 rather than bfloat16
    lists = _lists(tokens)
    return rows.assign(**{name: rows["request_key"].map(found) for name, found in lists.items()})


def _lists(tokens: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """By request key: the mass at each token, where each token ends, and which part it belongs to."""
    tokens = tokens.assign(
        mass=np.exp(tokens["left"]).round(6), token_ends=tokens["end"].astype("int64"), token_parts=tokens["part"].astype(str)
    )
    groups = tokens.sort_values("position", kind="stable").groupby("request_key", sort=False)
    return {name: {str(key): values.tolist() for key, values in groups[name]} for name in LISTS}
