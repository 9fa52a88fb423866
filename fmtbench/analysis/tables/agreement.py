"""Our accuracies next to those that the authors published for the same replies, model by model."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from fmtbench.errors import UserError

THEIRS = "published_rule"
"""A column with the verdicts of the authors' rule, as far as it can be reconstructed."""


def agreement_table(rows: pd.DataFrame, published: str) -> pd.DataFrame:
    """One row for each backbone: `n`, the `published` accuracy, that of the authors' `rule` applied to the replies again, our
    `latent` one, `difference` (latent minus published), and the replies that only one of the two finds right: `only_latent`,
    `only_rule`.

    `published`: a CSV with `backbone` and `accuracy`. Raises `UserError` where it is missing or names none of these backbones, or
    the rows lack the rule's verdicts.
    """
    if THEIRS not in rows.columns:
        raise UserError(f"it needs the verdicts of the authors' rule, a column {THEIRS}: paper/published/make.py writes it")
    if not Path(published).is_file():
        raise UserError(f"published={published} does not exist: give a CSV with backbone and accuracy")
    known = pd.read_csv(published).set_index("backbone")["accuracy"]
    lines = []
    for name, own in rows.groupby("backbone", sort=True, observed=True):
        latent, rule = own["latent_correct"].astype(bool), own[THEIRS].astype(bool)
        line = {
            "backbone": str(name),
            "n": len(own),
            "published": known.get(str(name)),
            "rule": rule.mean(),
            "latent": latent.mean(),
        }
        lines.append(line | {"only_latent": int((latent & ~rule).sum()), "only_rule": int((rule & ~latent).sum())})
    table = pd.DataFrame(lines)
    if table["published"].isna().all():
        raise UserError(
            f"published={published} names none of these backbones: call them {', '.join(map(str, table['backbone'][:6]))}"
        )
    return table.assign(difference=table["latent"] - table["published"]).sort_values(
        "difference", ascending=False, ignore_index=True
    )
