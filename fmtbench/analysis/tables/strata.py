"""The accuracy table by stratum: by subject, difficulty, or whatever else a task's items are sorted by."""

from __future__ import annotations

import pandas as pd

from fmtbench.analysis.rows.strata import check_strata
from fmtbench.analysis.statistics.bootstrap import FEWER_DRAWS
from fmtbench.analysis.tables.main import accuracy_table
from fmtbench.conditions.axes import REFERENCE
from fmtbench.errors import UserError

KEPT = ("strict", "latent", "strict_diff", "latent_diff")


def strata_table(rows: pd.DataFrame, reference: str = REFERENCE, draws: int = FEWER_DRAWS) -> pd.DataFrame:
    """`backbone task stratum condition n` and what the accuracy table says about the items of this stratum alone: `strict`,
    `latent`, and `strict_diff`, `latent_diff` against the reference, with their intervals.

    Items without a stratum are left out. Raises `UserError` where no item has one, or one item has two.
    """
    if "stratum" not in rows.columns or not (named := rows[rows["stratum"].notna() & (rows["stratum"] != "")]).size:
        raise UserError("no item has a stratum: say in the task's source which field it is in, fields: {stratum: subject}")
    check_strata(named)
    parts = [
        accuracy_table(group.astype({"stratum": str}), reference, draws).assign(stratum=str(stratum))
        for stratum, group in named.groupby("stratum", sort=True, observed=True)
    ]
    table = pd.concat(parts, ignore_index=True)
    columns = [
        "backbone",
        "task",
        "stratum",
        "condition",
        "n",
        *(f"{name}{end}" for name in KEPT for end in ("", "_low", "_high")),
    ]
    return table[columns].sort_values(["backbone", "task"], kind="stable", ignore_index=True)
