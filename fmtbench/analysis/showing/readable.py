"""The accuracy table for the terminal: accuracies in per cent, intervals in the same cell."""

from __future__ import annotations

from typing import Any

import pandas as pd

HEADINGS = ["task", "condition", "n", "strict", "latent", "Δ strict", "Δ latent", "macro-F1", "failures", "tokens"]


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text, with the columns of `HEADINGS`; macro-F1 only if a task has it, the backbone only if there are
    several."""
    lines = [
        [
            line.task,
            line.condition,
            str(line.n),
            _interval(line.strict, line.strict_low, line.strict_high) or "-",
            _interval(line.latent, line.latent_low, line.latent_high) or "-",
            _interval(line.strict_diff, line.strict_diff_low, line.strict_diff_high, sign="+"),
            _interval(line.latent_diff, line.latent_diff_low, line.latent_diff_high, sign="+"),
            "" if pd.isna(line.macro_f1) else f"{100 * line.macro_f1:.0f}",
            _failures(line),
            f"{line.tokens:.0f}",
        ]
        for line in table.itertuples(index=False)
    ]
    shown = pd.DataFrame(lines, columns=HEADINGS)
    if table.macro_f1.isna().all():
        shown = shown.drop(columns="macro-F1")
    if table.backbone.nunique() > 1:
        shown.insert(0, "backbone", table.backbone)
    return shown


def _interval(value: float, low: float, high: float, sign: str = "") -> str:
    return "" if pd.isna(value) else f"{100 * value:{sign}.0f} [{100 * low:{sign}.0f}, {100 * high:{sign}.0f}]"


def _failures(line: Any) -> str:
    shares = {name.removeprefix("share_"): getattr(line, name) for name in line._fields if name.startswith("share_")}
    return ", ".join(f"{name} {100 * share:.0f}%" for name, share in shares.items() if share > 0)
