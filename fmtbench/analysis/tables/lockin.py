"""What is lost when a model that solves an item freely is held to a format.

With Y = 1 for a right answer, 0 for the free reference and c for the format: lock-in LIR = P(Yc = 0 | Y0 = 1), unlock
UR = P(Yc = 1 | Y0 = 0), and D = A0 LIR - (1 - A0) UR exactly. Where answers are sampled, part of LIR is noise: the floor is
the rate at which another free sample of the same item fails too, and only the excess over it speaks of the format.

A reply and the free reply of the same sample share a seed and may be the same words, as those of the sham are. So the *other*
free samples decide what is solved freely, for lock-in, unlock and floor alike. A format that changes nothing then has the
lock-in of its floor, whether or not it shares the seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import integrate, stats

from fmtbench.analysis.rows.levels import AXES, levels
from fmtbench.analysis.statistics.accuracy import accuracy as wilson
from fmtbench.analysis.statistics.accuracy import item_means
from fmtbench.analysis.statistics.bootstrap import FEWER_DRAWS, SEED, bootstrap
from fmtbench.analysis.statistics.cube import RERUN, Array, Cube, cubes, sums
from fmtbench.analysis.statistics.labels import ITEMS_PER_LABEL
from fmtbench.conditions.axes import DEFAULTS, REFERENCE
from fmtbench.errors import UserError

FEW_GOLDS = 10
AT_CHANCE = "retention undefined: the reference is not above chance"
ONE_SAMPLE = "floor and excess need two free samples of an item (+samples_of.free_cot=2, temperature above 0)"


def lockin_table(
    rows: pd.DataFrame,
    axes: Mapping[str, Mapping[str, Any]],
    reference: str = REFERENCE,
    chance: Mapping[str, float] | None = None,
    draws: int = FEWER_DRAWS,
    seed: int = SEED,
) -> pd.DataFrame:
    """One line for each backbone, task and condition; rates in 0..1 over the units that condition and reference share.

    `chance`: accuracy of guessing by task; by default 1 over the number of different golds where that is at most 10 and
    each stands for five items or more, else 0. `retention`: (accuracy - chance) / (reference - chance), the share that is
    kept of what the reference knows beyond guessing; NaN, with a remark in `note`, where the reference's own 95% interval
    reaches down to chance, since there is then nothing to keep.
    Raises `UserError` where nothing can be compared with the reference.
    """
    guess = _chance(rows) | dict(chance or {})
    lines = [line for one in cubes(rows) for line in _lines(one, axes, reference, guess[one.task], draws, seed)]
    if not lines:
        raise UserError(f"no condition shares an item with {reference}: lock-in is measured against it")
    return pd.DataFrame(lines)


def _chance(rows: pd.DataFrame) -> dict[str, float]:
    groups = rows.groupby("task", observed=True)
    table = pd.DataFrame({"golds": groups["gold"].nunique(), "items": groups["item_id"].nunique()})
    few = table["golds"].between(2, FEW_GOLDS) & (table["items"] >= ITEMS_PER_LABEL * table["golds"])
    return {str(task): 1 / number if closed else 0.0 for task, number, closed in zip(table.index, table["golds"], few)}


def _lines(
    one: Cube, axes: Mapping[str, Mapping[str, Any]], reference: str, chance: float, draws: int, seed: int
) -> Iterator[dict[str, Any]]:
    if reference not in one.conditions:
        return
    other_U = other_samples(one, one.strict_CU[one.at(reference)])
    for condition in one.conditions:
        shared = np.isfinite(one.strict_CU[one.at(condition)] - one.strict_CU[one.at(reference)])
        if condition != reference and not condition.endswith(RERUN) and shared.any():
            known = _levels(one, condition, reference, shared, chance)
            notes = {ONE_SAMPLE: not np.isfinite(other_U).any(), AT_CHANCE: np.isnan(known["retention"])}
            yield {
                "backbone": one.backbone,
                "task": one.task,
                "condition": condition,
                "reference": reference,
                "n": len(np.unique(one.item_U[shared])),
                **_rates(one, condition, reference, other_U, draws, seed),
                **_locked(one, condition, reference),
                **known,
                "order_penalty": order_penalty(one, condition, axes),
                "note": "; ".join(note for note, holds in notes.items() if holds),
            }


# -- rates


def rate_values(one: Cube, condition: str, reference: str, other_U: Array) -> tuple[Array, Array]:
    """Lock-in, unlock and floor of single units, 3 x units, and the weight of a unit in each rate; NaN where it has none.

    `other_U`: how often the other free samples are right. Where no item has any, the free sample of the unit itself says
    what is solved freely, and there is no floor.
    """
    free_U, ours_U = one.strict_CU[one.at(reference)], one.strict_CU[one.at(condition)]
    again_U = np.where(np.isfinite(ours_U), 1 - free_U, np.nan)
    right_U = other_U if np.isfinite(other_U).any() else free_U
    values = np.vstack([1 - ours_U, ours_U, again_U if right_U is other_U else np.full(len(ours_U), np.nan)])
    return values, np.vstack([right_U, 1 - right_U, right_U])


def other_samples(one: Cube, score_U: Array) -> Array:
    """Mean score of the other samples of the same item and prompt; NaN where there is none."""
    group_U = one.item_U * (int(one.prompt_U.max()) + 1) + one.prompt_U
    there = np.isfinite(score_U)
    total = np.bincount(group_U[there], weights=score_U[there], minlength=int(group_U.max()) + 1)[group_U]
    count = np.bincount(group_U[there], minlength=int(group_U.max()) + 1)[group_U]
    return np.divide(total - score_U, count - 1, out=np.full(len(score_U), np.nan), where=there & (count > 1))


def _rates(one: Cube, condition: str, reference: str, other_U: Array, draws: int, seed: int) -> dict[str, float]:
    values, weights = rate_values(one, condition, reference, other_U)
    drawn = bootstrap(sums(values, one, weights), draws, seed, rates=True, together=True)
    low, high = (np.clip(bound, 0, 1) for bound in drawn.interval())
    excess_B = drawn.draws_BK[:, 0] - drawn.draws_BK[:, 2]
    ends = np.nanquantile(excess_B, [0.025, 0.975]) if np.isfinite(drawn.means_K[2]) else (np.nan, np.nan)
    named: dict[str, float] = {}
    for k, name in enumerate(("lockin", "unlock", "floor")):
        measured = np.isfinite(drawn.means_K[k])
        named |= {name: drawn.means_K[k]}
        named |= {f"{name}_low": low[k] if measured else np.nan, f"{name}_high": high[k] if measured else np.nan}
    return named | {"excess": drawn.means_K[0] - drawn.means_K[2], "excess_low": ends[0], "excess_high": ends[1]}


# -- single items


@cache
def posterior_locked(right: int, asked: int, free_right: int, free_asked: int, gap: float = 0.5) -> float:
    """P(free solve rate - solve rate in the format > gap), each with a uniform prior and binomial samples."""
    free = stats.beta(1 + free_right, 1 + free_asked - free_right)
    ours = stats.beta(1 + right, 1 + asked - right)
    grid = np.linspace(gap, 1, 513)
    return float(integrate.simpson(free.pdf(grid) * ours.cdf(grid - gap), x=grid))


def _locked(one: Cube, condition: str, reference: str, sure: float = 0.95) -> dict[str, float]:
    """Items that are locked with a posterior above 95%: their number, and their share of the items that both were asked."""
    shared = np.isfinite(one.strict_CU[one.at(condition)] - one.strict_CU[one.at(reference)])
    counts = [np.bincount(one.item_U[shared])]
    for name in (condition, reference):
        counts.append(np.bincount(one.item_U[shared], weights=one.strict_CU[one.at(name), shared]).astype(int))
    table = np.column_stack(counts)[counts[0] > 0]
    kinds, number = np.unique(table, axis=0, return_counts=True)
    locked = sum(
        many
        for (asked, right, free), many in zip(kinds, number)
        if posterior_locked(int(right), int(asked), int(free), int(asked)) > sure
    )
    return {"locked_items": int(locked), "locked": locked / len(table)}


# -- levels


def _levels(one: Cube, condition: str, reference: str, shared: Any, chance: float) -> dict[str, float]:
    ours, free = one.at(condition), one.at(reference)
    accuracy, free_accuracy = one.strict_CU[ours, shared].mean(), one.strict_CU[free, shared].mean()
    _, free_low, _ = wilson(item_means(one.strict_CU[free, shared], one.item_U[shared]))
    above = min(free_low, free_accuracy) > chance  # at 0 of n the bound is a rounding error above 0
    words, free_words = one.words_CU[ours, shared].mean(), one.words_CU[free, shared].mean()
    return {
        "chance": chance,
        "retention": (accuracy - chance) / (free_accuracy - chance) if above else np.nan,
        "contract_loss": float((one.latent_CU[ours, shared] - one.strict_CU[ours, shared]).mean()),
        "reference_contract_loss": float((one.latent_CU[free, shared] - one.strict_CU[free, shared]).mean()),
        "compression": words / free_words if free_words > 0 else np.nan,
    }


def order_penalty(one: Cube, condition: str, axes: Mapping[str, Mapping[str, Any]]) -> float:
    """Accuracy of the twin that reasons first minus that of this condition, where only the order of fields differs."""
    known = {name: levels(axes[name]) for name in one.conditions if name in axes}
    order = AXES.index("order")
    if condition not in known or known[condition][order] != "answer_first":
        return float("nan")
    twin = tuple(DEFAULTS["order"] if i == order else level for i, level in enumerate(known[condition]))
    for name, cell in known.items():
        if cell == twin:
            difference_U = one.strict_CU[one.at(name)] - one.strict_CU[one.at(condition)]
            there = np.isfinite(difference_U)
            return float(difference_U[there].mean()) if there.any() else float("nan")
    return float("nan")
