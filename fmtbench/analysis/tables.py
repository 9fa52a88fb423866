"""Tables: functions from rows to a data frame, and how a data frame is shown.

`accuracy_table` is the first table anybody sees: what did each format cost, and which way did its replies fail?
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from fmtbench.analysis.stats import Estimate, accuracy, paired_difference

BASELINE = "free_cot"
UNIT = ["prompt", "seed", "sample", "item_id"]
HEADINGS = ["task", "condition", "n", "strict", "latent", "Δ strict", "Δ latent", "failures", "tokens"]


def accuracy_table(rows: pd.DataFrame, baseline: str = BASELINE) -> pd.DataFrame:
    """One line for each backbone, task and condition, by name, the baseline first.

    Columns: `n` items; `strict`, `latent` with `_low`, `_high` (Wilson, 95%); `strict_diff`, `latent_diff` against the
    baseline on the items both have (paired, 95%; NaN where there is no baseline); `share_<status>` of all
    generations; `tokens`, the mean completion length.
    """
    lines = []
    for (backbone, task), group in rows.groupby(["backbone", "task"], sort=False):
        base = group[group.condition == baseline]
        for condition, cell in sorted(group.groupby("condition"), key=lambda pair: pair[0] != baseline):
            line: dict[str, Any] = {"backbone": backbone, "task": task, "condition": condition, "n": cell.item_id.nunique()}
            for name, column in (("strict", "correct"), ("latent", "latent_correct")):
                line |= _columns(name, accuracy(_by_item(cell, column).to_numpy()))
                line |= _columns(f"{name}_diff", _difference(cell, base, column) if condition != baseline else None)
            line |= {
                f"share_{status}": share for status, share in cell.status.value_counts(normalize=True).items() if status != "ok"
            }
            lines.append(line | {"tokens": cell.completion_tokens.mean()})
    table = pd.DataFrame(lines)
    shares = sorted(name for name in table.columns if str(name).startswith("share_"))
    return table.fillna(dict.fromkeys(shares, 0.0))[[name for name in table.columns if name not in shares] + shares]


def _by_item(rows: pd.DataFrame, column: str) -> pd.Series:
    return rows.groupby("item_id", sort=False)[column].mean().astype(float)


def _difference(cell: pd.DataFrame, base: pd.DataFrame, column: str) -> Estimate | None:
    """Only what was asked under both conditions, with the same prompt, seed and sample, is compared."""
    pairs = cell[[*UNIT, column]].merge(base[[*UNIT, column]], on=UNIT, suffixes=("", "_base"))
    if pairs.empty:
        return None
    by_item = pairs.groupby("item_id")[[column, f"{column}_base"]].mean().astype(float)
    return paired_difference(by_item[column].to_numpy(), by_item[f"{column}_base"].to_numpy())


def _columns(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    value, low, high = estimate or (None, None, None)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


# -- showing


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The same table as text, with the columns of `HEADINGS`; accuracies in per cent."""
    lines = [
        [
            line.task,
            line.condition,
            str(line.n),
            _interval(line.strict, line.strict_low, line.strict_high),
            _interval(line.latent, line.latent_low, line.latent_high),
            _interval(line.strict_diff, line.strict_diff_low, line.strict_diff_high, sign="+"),
            _interval(line.latent_diff, line.latent_diff_low, line.latent_diff_high, sign="+"),
            _failures(line),
            f"{line.tokens:.0f}",
        ]
        for line in table.itertuples(index=False)
    ]
    shown = pd.DataFrame(lines, columns=HEADINGS)
    if table.backbone.nunique() > 1:
        shown.insert(0, "backbone", table.backbone)
    return shown


def _interval(value: float, low: float, high: float, sign: str = "") -> str:
    return "" if pd.isna(value) else f"{100 * value:{sign}.0f} [{100 * low:{sign}.0f}, {100 * high:{sign}.0f}]"


def _failures(line: Any) -> str:
    shares = {name.removeprefix("share_"): getattr(line, name) for name in line._fields if name.startswith("share_")}
    return ", ".join(f"{name} {100 * share:.0f}%" for name, share in shares.items() if share > 0)


def to_markdown(shown: pd.DataFrame) -> str:
    """A GitHub table; the numbers are aligned to the right."""
    header = list(map(str, shown.columns))
    body = [list(map(str, line)) for line in shown.itertuples(index=False)]
    widths = [max(len(line[i]) for line in [header, *body]) for i in range(len(header))]
    left = {"backbone", "task", "condition", "failures"}
    rule = ["-" * width if name in left else "-" * (width - 1) + ":" for name, width in zip(header, widths)]
    return "\n".join("| " + " | ".join(_aligned(line, header, widths, left)) + " |" for line in [header, rule, *body]) + "\n"


def _aligned(line: Iterable[str], header: list[str], widths: list[int], left: set[str]) -> list[str]:
    return [text.ljust(width) if name in left else text.rjust(width) for text, name, width in zip(line, header, widths)]
