"""The realised order of replies: whether answer or rationale came first, and what goes with it.

What a condition asks for and what comes are two things: published logs flip between versions of a model. Nobody assigned the
order here, so replies that answer first may be those to easy items, or to hard ones. `within` compares replies to the same
item, which rules that out but needs items with replies of both orders; the contrasts split a paired difference by whether the
order changed with the condition, which says where the difference is, not what caused it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fmtbench.analysis.statistics.bootstrap import FEWER_DRAWS, SEED, Draws, bootstrap
from fmtbench.analysis.statistics.cube import UNIT, Array, Sums
from fmtbench.conditions.axes import REFERENCE
from fmtbench.errors import UserError

ORDERS = ("reasoning_first", "answer_first", "answer_only")
UNDECIDED = "undecided"
COLUMN = "realised_order"
FEWEST = 10
"""Replies of either kind that a comparison of the two needs at least."""
Mask = npt.NDArray[np.bool_]


def order_table(rows: pd.DataFrame, draws: int = FEWER_DRAWS, seed: int = SEED) -> pd.DataFrame:
    """One row for each backbone, task and condition: `n` replies, the share of each order, and the latent accuracy of each
    (`..._right`) with a 95% bootstrap interval over items.

    `between`: accuracy of replies that reason first minus that of replies that answer first or only answer; `within`: the same
    difference in the `within_items` items that have both, averaged over these; NaN with fewer than ten replies of a kind, or two
    items. Raises `UserError` for rows without orders.
    """
    rows = _ordered(rows)
    keys = ["backbone", "task", "condition"]
    return pd.DataFrame(
        [dict(zip(keys, key)) | _line(group, draws, seed) for key, group in rows.groupby(keys, sort=True, observed=True)]
    )


def order_contrast_table(
    rows: pd.DataFrame, reference: str = REFERENCE, draws: int = FEWER_DRAWS, seed: int = SEED
) -> pd.DataFrame:
    """One row for each condition other than the reference: the latent `difference` over the replies that both have, and its two
    parts, which sum to it: from replies of the `same` order, and from those whose order `changed`; `changed_share` of all.

    Raises `UserError` for rows without orders, or where nothing pairs with the reference.
    """
    lines = [
        line
        for _, group in _ordered(rows).groupby(["backbone", "task"], observed=True)
        for line in _contrasts(group, reference, draws, seed)
    ]
    if not lines:
        raise UserError(f"no condition shares a reply with {reference}: realised orders are compared with it; give reference=")
    return pd.DataFrame(lines)


def _ordered(rows: pd.DataFrame) -> pd.DataFrame:
    if COLUMN not in rows.columns or rows[COLUMN].isna().all():
        raise UserError(
            "it needs rows whose realised order was read, and these have none: score the folder again "
            "(python -m experiments.score), or run the same rescore command"
        )
    return rows.assign(**{COLUMN: rows[COLUMN].astype("object").fillna(UNDECIDED)})


def _line(rows: pd.DataFrame, draws: int, seed: int) -> dict[str, Any]:
    right = rows["latent_correct"].to_numpy(dtype=float)
    order = rows[COLUMN].to_numpy()
    line: dict[str, Any] = {"n": len(rows)} | {name: (order == name).mean() for name in (*ORDERS, UNDECIDED)}
    for name in ORDERS:
        line |= _named(f"{name}_right", _drawn(rows, right, [order == name], draws, seed), rate=True)
    reasoned, answered = order == ORDERS[0], np.isin(order, ORDERS[1:])
    line |= _between(rows, right, reasoned, answered, draws, seed)
    return line | _within(rows, right, reasoned, answered, draws, seed)


def _drawn(rows: pd.DataFrame, right: Array, masks: list[Mask], draws: int, seed: int) -> Draws:
    """Bootstrapped accuracies of parts of the replies; items are drawn with all their replies."""
    item, items = pd.factorize(rows["item_id"], sort=True)
    value, count = np.zeros((len(items), 1, len(masks))), np.zeros((len(items), 1, len(masks)))
    for k, mask in enumerate(masks):
        np.add.at(value, (item[mask], 0, k), right[mask])
        np.add.at(count, (item[mask], 0, k), 1.0)
    return bootstrap(Sums(value, count), draws, seed, rates=True, together=True)


def _named(name: str, drawn: Draws, rate: bool) -> dict[str, float]:
    if not np.isfinite(drawn.means_K[0]):
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"), np.nan)
    low, high = drawn.interval(bounds=(0, 1) if rate else (-1, 1))
    return {name: drawn.means_K[0], f"{name}_low": low[0], f"{name}_high": high[0]}


def _between(rows: pd.DataFrame, right: Array, reasoned: Mask, answered: Mask, draws: int, seed: int) -> dict[str, float]:
    if min(reasoned.sum(), answered.sum()) < FEWEST:
        return dict.fromkeys(("between", "between_low", "between_high"), np.nan)
    drawn = _drawn(rows, right, [reasoned, answered], draws, seed)
    both = Draws(drawn.means_K[:1] - drawn.means_K[1:2], drawn.draws_BK[:, :1] - drawn.draws_BK[:, 1:2])
    return _named("between", both, rate=False)


def _within(rows: pd.DataFrame, right: Array, reasoned: Mask, answered: Mask, draws: int, seed: int) -> dict[str, float]:
    """All items that have both weigh the same."""
    item, items = pd.factorize(rows["item_id"], sort=True)
    means = []
    for mask in (reasoned, answered):
        total, count = (np.bincount(item[mask], weights=some, minlength=len(items)) for some in (right[mask], None))
        means.append(np.divide(total, count, out=np.full(len(items), np.nan), where=count > 0))
    difference = means[0] - means[1]
    there = np.isfinite(difference)
    if there.sum() < 2:
        return dict.fromkeys(("within", "within_low", "within_high"), np.nan) | {"within_items": int(there.sum())}
    sums = Sums(difference[there, None, None], np.ones((int(there.sum()), 1, 1)))
    return _named("within", bootstrap(sums, draws, seed), rate=False) | {"within_items": int(there.sum())}


def _contrasts(rows: pd.DataFrame, reference: str, draws: int, seed: int) -> Iterator[dict[str, Any]]:
    ours = {
        str(name): group.set_index(UNIT)[["latent_correct", COLUMN]] for name, group in rows.groupby("condition", observed=True)
    }
    free = ours.pop(reference, None)
    for condition, own in ours.items():
        pairs = own.join(free.add_suffix("_free"), how="inner") if free is not None else own.iloc[:0]
        if len(pairs):
            key = {
                "backbone": rows["backbone"].iloc[0],
                "task": rows["task"].iloc[0],
                "condition": condition,
                "reference": reference,
            }
            yield key | _split(pairs.reset_index(), draws, seed)


def _split(pairs: pd.DataFrame, draws: int, seed: int) -> dict[str, Any]:
    difference = pairs["latent_correct"].to_numpy(dtype=float) - pairs["latent_correct_free"].to_numpy(dtype=float)
    changed = (pairs[COLUMN] != pairs[f"{COLUMN}_free"]).to_numpy()
    item, items = pd.factorize(pairs["item_id"], sort=True)
    parts = {"difference": difference, "same": difference * ~changed, "changed": difference * changed}
    value = np.zeros((len(items), 1, len(parts)))
    for k, part in enumerate(parts.values()):
        np.add.at(value, (item, 0, k), part)
    count = np.repeat(np.bincount(item, minlength=len(items)).astype(float)[:, None, None], len(parts), axis=2)
    drawn = bootstrap(Sums(value, count), draws, seed)
    low, high = drawn.interval(bounds=(-1, 1))
    named = {"n": len(items), "replies": len(pairs), "changed_share": changed.mean()}
    for k, name in enumerate(parts):
        named |= {name: drawn.means_K[k], f"{name}_low": low[k], f"{name}_high": high[k]}
    return named
