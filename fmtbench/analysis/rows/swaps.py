"""Rows of a prefix swap (`experiments.lockin probe=swap`), which no other table may mistake for conditions of their own.

They lie beside the experiment they were cut from, in `<name>-swap`, and are found there. Given alone, they are rows like any
other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fmtbench.analysis.rows.frame import RowsFile
from fmtbench.probes.swap import FACTS, SUFFIX, Arm, arm_of


def beside(roots: Iterable[Path | str]) -> list[Path]:
    """The swap folders of these experiments, except those that are given as well."""
    given = {Path(root).resolve() for root in roots}
    found = [one for root in map(Path, roots) if root.name for one in sorted(root.parent.glob(f"{root.name}{SUFFIX}*"))]
    return [one for one in found if one.resolve() not in given and next(one.rglob("rows.parquet"), None)]


def parted(files: Sequence[RowsFile]) -> tuple[list[RowsFile], list[RowsFile]]:
    """The files of experiments, and those of their swaps; if there are only swaps, both lists hold them."""
    swapped = [one for one in files if FACTS in one.manifest]
    others = [one for one in files if FACTS not in one.manifest]
    return (others if any(len(one.rows) for one in others) else list(files)), swapped


def swap_rows(files: Iterable[RowsFile]) -> pd.DataFrame | None:
    """The rows of arms, with `origin`, `mode` and `fraction`, and what their manifest says: the names of the two conditions,
    `free` and `held`, and `left_out`, which counts in words, by reason, the units that are in no arm."""
    found = [_told(one, arm) for one in files if not _greedy(one) and (arm := _arm(one))]
    return pd.concat(found, ignore_index=True) if found else None


def greedy_rows(files: Iterable[RowsFile]) -> pd.DataFrame | None:
    """The rows of the null, with `mode`, `fraction` (NaN for a reply that was not cut) and `text`."""
    found = [_whole(one) for one in files if _greedy(one) and len(one.rows)]
    return pd.concat(found, ignore_index=True) if found else None


def _greedy(file: RowsFile) -> bool:
    return bool(file.manifest[FACTS].get("greedy"))


def _arm(file: RowsFile) -> Arm | None:
    return arm_of(str(file.rows["condition"].iloc[0])) if len(file.rows) else None


def _whole(file: RowsFile) -> pd.DataFrame:
    """No other table reads texts, so they are read from disk here."""
    text = pd.read_parquet(file.path, columns=["text"])["text"].loc[file.rows.index]
    arm = _arm(file)
    mode, fraction = (arm.mode, arm.fraction) if arm else (str(file.rows["condition"].iloc[0]), np.nan)
    return file.rows.assign(mode=mode, fraction=fraction, text=text, **_names(file))


def _names(file: RowsFile) -> dict[str, str]:
    return {name: str(file.manifest[FACTS].get(name, "")) for name in ("free", "held")}


def _told(file: RowsFile, arm: Arm) -> pd.DataFrame:
    facts: dict[str, Any] = file.manifest[FACTS]
    counts = facts.get("left_out") or {}
    left_out = ", ".join(f"{reason} {count}" for reason, count in counts.items())
    return file.rows.assign(origin=arm.origin, mode=arm.mode, fraction=arm.fraction, left_out=left_out, **_names(file))
