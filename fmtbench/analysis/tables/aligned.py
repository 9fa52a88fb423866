"""Grammar-aligned accuracy: what the model would score if its replies were sampled given the grammar, instead of being masked.

A mask draws each token from those allowed, and so favours beginnings that are likely over those that have likely continuations.
With the weights w = prod Z_t its draws become draws of the model given the grammar (importance sampling; Park et al. 2024, arXiv
2405.21047, align by other means). All draws of a cell share one sum, so an item counts by how readily the model keeps to the
grammar there. If a few draws hold most of the weight, the estimate rests on them alone: so it needs an effective sample size
(sum w)^2 / sum w^2 of at least `LEAST`, and no draw with more than a tenth of the weight. No other result builds on it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from fmtbench.analysis.statistics.bootstrap import FEWER_DRAWS, SEED
from fmtbench.analysis.statistics.cube import Array
from fmtbench.analysis.statistics.per_item import NOTHING, mean_of_ratio, within_items
from fmtbench.analysis.tables.mass import ITEM, named, probed
from fmtbench.errors import UserError

CELL = ["backbone", "task", "condition", "decoder", "dtype"]
LEAST = 30.0
MOST = 0.1


def aligned_table(
    rows: pd.DataFrame, mass_tokens: pd.DataFrame | None = None, draws: int = FEWER_DRAWS, seed: int = SEED
) -> pd.DataFrame:
    """One row for each backbone, task and condition with draws from the whole distribution under a mask (top_p 1).

    `masked`: accuracy of the draws. `aligned`: with their weights, and a bootstrap interval over items; empty where the rule
    above is not met, as `note` says. `ess`, `largest`: effective sample size, largest weight. `spread`: standard deviation of
    ln w within items. `right_less_wrong`, `error`, `n_both`: how much more right draws pay than wrong ones of the same item, in
    nats at the request's temperature, its standard error, and the number of items that have both. Raises `UserError` where
    there are no draws.
    """
    tokens = probed(mass_tokens)
    tokens = tokens[tokens["problem"].isna() & (tokens["against"] == "own") & (tokens["top_p"] == 1)]
    drawn = replies(tokens[tokens["left_own"].notna()])
    if drawn.empty:
        raise UserError("no masked reply was drawn: run with sampling.temperature=1 sampling.top_p=1 and sampling.samples=12")
    groups = drawn.groupby(CELL, observed=True, sort=True)
    return pd.DataFrame([dict(zip(CELL, key)) | _line(cell, draws, seed) for key, cell in groups])


def replies(tokens: pd.DataFrame) -> pd.DataFrame:
    """One row per reply: ln w, and its verdict."""
    groups = tokens.groupby([*CELL, *ITEM, "sample"], observed=True, sort=True)
    return groups.agg(log_weight=("left_own", "sum"), correct=("correct", "first")).reset_index()


def _line(cell: pd.DataFrame, draws: int, seed: int) -> dict[str, Any]:
    item = cell.groupby(ITEM, observed=True).ngroup()
    weight_N = weights(cell["log_weight"].to_numpy())
    size, largest = effective(weight_N), float(weight_N.max())
    usable = size >= LEAST and largest <= MOST
    aligned = NOTHING
    if usable:
        sums = pd.DataFrame({"right": weight_N * cell["correct"].to_numpy(float), "all": weight_N}).groupby(item.to_numpy()).sum()
        aligned = mean_of_ratio(sums["right"].to_numpy(), sums["all"].to_numpy(), draws, seed)
    paid, error, both = within_items(-cell["log_weight"], cell["correct"], item)
    return {
        "n": int(item.nunique()),
        "replies": len(cell),
        "masked": float(cell["correct"].astype(float).mean()),
        **named("aligned", aligned),
        "ess": size,
        "largest": largest,
        "spread": float(cell.groupby(item)["log_weight"].std(ddof=1).mean()),
        "right_less_wrong": paid,
        "error": error,
        "n_both": both,
        "note": "" if usable else f"not usable: ESS {size:.1f} of {len(cell)}",
    }


def weights(log_N: Array) -> Array:
    """Weights that sum to 1, from their logarithms."""
    weight_N = np.exp(log_N - log_N.max())
    return np.asarray(weight_N / weight_N.sum())


def effective(weight_N: Array) -> float:
    """Kish's effective sample size of weights that sum to 1."""
    return float(1 / (weight_N**2).sum())
