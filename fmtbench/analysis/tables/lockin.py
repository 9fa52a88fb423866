"""What is lost when a model that solves an item freely is held to a format.

With Y = 1 for a right answer, 0 for the free reference and c for the format: lock-in LIR = P(Yc = 0 | Y0 = 1), unlock
UR = P(Yc = 1 | Y0 = 0), and D = A0 LIR - (1 - A0) UR exactly. Where answers are sampled, part of LIR is noise: the floor is
the rate at which another free sample of the same item fails too, and only the excess over it is due to the format.

Every free sample of an item decides in turn what counts as solved freely, and the others tell how often it fails again: using
both directions leaves 1.3 to 1.4 times less variance than one. Only where a condition shows the model the same words as the
reference (the sham, a schema that is not asked for) is the free sample with a reply's own seed left out, since the two may be
the same words. A format that changes nothing then has the lock-in of its floor, whether or not it shares the seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import integrate, stats

from fmtbench.analysis.rows.levels import AXES, levels
from fmtbench.analysis.statistics.accuracy import accuracy
from fmtbench.analysis.statistics.bootstrap import FEWER_DRAWS, SEED, bootstrap
from fmtbench.analysis.statistics.chance import chance_of
from fmtbench.analysis.statistics.cube import RERUN, Array, Cube, cell_index, cells, cubes, sums
from fmtbench.conditions.axes import DEFAULTS, REFERENCE
from fmtbench.errors import UserError

FEW_REPLIES = 7
"""Replies to an item under either condition: with fewer, no item can be locked with a probability of 95%."""
TOO_FEW = f"locked needs {FEW_REPLIES} replies of an item"
NO_WIDTH = "interval of no width: the draws do not differ"
GAIN = "retention above 100%: a gain, not a loss"
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
    """One row for each backbone, task and condition; rates in 0..1 over the units that condition and reference share.

    `chance`: accuracy of guessing by task; by default 1 over the number of distinct golds where that is at most 10 and
    each stands for five items or more, else 0. `retention`: (accuracy - chance) / (reference - chance), the share kept of what
    the reference knows beyond guessing, with its 95% bootstrap interval; NaN, with a remark in `note`, where the
    reference's own 95% interval reaches down to chance, since there is then nothing to keep. `locked`: NaN with fewer than
    seven replies to an item, where it could only be 0.
    Raises `UserError` where nothing can be compared with the reference.
    """
    guess = chance_of(rows) | dict(chance or {})
    lines = [line for one in cubes(rows) for line in _lines(one, axes, reference, guess[one.task], draws, seed)]
    if not lines:
        raise UserError(f"no condition shares an item with {reference}: lock-in is measured against it")
    return pd.DataFrame(lines)


def _lines(
    one: Cube, axes: Mapping[str, Mapping[str, Any]], reference: str, chance: float, draws: int, seed: int
) -> Iterator[dict[str, Any]]:
    if reference not in one.conditions:
        return
    for condition in one.conditions:
        shared = np.isfinite(one.strict_CU[one.at(condition)] - one.strict_CU[one.at(reference)])
        if condition != reference and not condition.endswith(RERUN) and shared.any():
            yield _line(one, condition, reference, shared, axes, chance, draws, seed)


def _line(
    one: Cube,
    condition: str,
    reference: str,
    shared: Any,
    axes: Mapping[str, Mapping[str, Any]],
    chance: float,
    draws: int,
    seed: int,
) -> dict[str, Any]:
    units = rate_units(one, condition, reference, same_words(condition, reference, axes))
    measured = {
        **_rates(units, one, draws, seed),
        **_locked(one, condition, reference),
        **_levels(one, condition, reference, shared, chance, draws, seed),
    }
    ends = [(measured[f"{name}_low"], measured[f"{name}_high"]) for name in ("lockin", "unlock", "floor", "excess", "retention")]
    notes = {
        ONE_SAMPLE: not units.floor,
        TOO_FEW: np.isnan(measured["locked"]),
        AT_CHANCE: np.isnan(measured["retention"]),
        GAIN: measured["retention"] > 1,
        NO_WIDTH: any(low == high for low, high in ends),
    }
    return {
        "backbone": one.backbone,
        "task": one.task,
        "condition": condition,
        "reference": reference,
        "n": len(np.unique(one.item_U[shared])),
        **measured,
        "order_penalty": order_penalty(one, condition, axes),
        "note": "; ".join(note for note, holds in notes.items() if holds),
    }


# -- rates


class RateUnits(NamedTuple):
    """Lock-in, unlock and floor of single units, 3 x units, and a unit's weight in each rate; NaN where it has none."""

    values_KU: Array
    weights_KU: Array
    floor: bool
    """Whether any item has two free samples."""


def same_words(condition: str, reference: str, axes: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether both show the model the same prompt, so that the same seed may give the same reply. True where that is unknown."""
    if condition not in axes or reference not in axes:
        return True
    masking = AXES.index("masking")
    ours, free = levels(axes[condition]), levels(axes[reference])
    return all(a == b for i, (a, b) in enumerate(zip(ours, free)) if i != masking)


def rate_units(one: Cube, condition: str, reference: str, apart: bool) -> RateUnits:
    """`apart`: whether an item is solved freely is judged without the unit's own free sample, from the others alone.

    Where no item has two free samples, the only one is the judge, and there is no floor.
    """
    free_U, ours_U = one.strict_CU[one.at(reference)], one.strict_CU[one.at(condition)]
    mean_U, count_U = free_samples(one, free_U)
    others_U = np.divide(mean_U * count_U - free_U, count_U - 1, out=np.full(len(free_U), np.nan), where=count_U > 1)
    if not (np.isfinite(others_U) & np.isfinite(ours_U)).any():
        nothing_U = np.full(len(ours_U), np.nan)
        return RateUnits(np.vstack([1 - ours_U, ours_U, nothing_U]), np.vstack([free_U, 1 - free_U, free_U]), floor=False)
    both_U = np.where(count_U > 1, mean_U, np.nan)
    fails_U = np.divide((1 - mean_U) * count_U, count_U - 1, out=np.full(len(free_U), np.nan), where=count_U > 1)
    right_U, again_U = (others_U, 1 - free_U) if apart else (both_U, fails_U)
    again_U = np.where(np.isfinite(ours_U), again_U, np.nan)
    return RateUnits(np.vstack([1 - ours_U, ours_U, again_U]), np.vstack([right_U, 1 - right_U, right_U]), floor=True)


def free_samples(one: Cube, score_U: Array) -> tuple[Array, Array]:
    """Mean and number of the samples of each unit's item and prompt."""
    index_U, _ = cell_index(one)
    there = np.isfinite(score_U)
    total, count = (
        np.bincount(index_U[there], weights=some, minlength=int(index_U.max()) + 1) for some in (score_U[there], None)
    )
    return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)[index_U], count[index_U].astype(float)


def _rates(units: RateUnits, one: Cube, draws: int, seed: int) -> dict[str, float]:
    drawn = bootstrap(sums(units.values_KU, one, units.weights_KU), draws, seed, rates=True, together=True)
    low, high = drawn.interval(bounds=(0, 1))
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
    if counts[0].max() < FEW_REPLIES:
        return {"locked_items": np.nan, "locked": np.nan}
    return {"locked_items": int(locked), "locked": locked / len(table)}


# -- levels


def _levels(one: Cube, condition: str, reference: str, shared: Any, chance: float, draws: int, seed: int) -> dict[str, float]:
    ours, free = one.at(condition), one.at(reference)
    words, free_words = one.words_CU[ours, shared].mean(), one.words_CU[free, shared].mean()
    lost = {name: one.latent_CU[i, shared] - one.strict_CU[i, shared] for name, i in (("", ours), ("reference_", free))}
    return {
        "chance": chance,
        **_retention(one, condition, reference, chance, draws, seed),
        **{f"{name}contract_loss": float(loss.mean()) for name, loss in lost.items()},
        "compression": words / free_words if free_words > 0 else np.nan,
    }


def _retention(one: Cube, condition: str, reference: str, chance: float, draws: int, seed: int) -> dict[str, float]:
    """Share of the reference's accuracy above chance that is kept; samples are averaged, as in the contrasts."""
    averaged = cells(one)
    both = averaged.strict_CU[[averaged.at(condition), averaged.at(reference)]]
    both = np.where(np.isfinite(both).all(axis=0), both, np.nan)
    drawn = bootstrap(sums(both, averaged), draws, seed, np.ones(2, bool), together=True)
    ours, free = drawn.means_K
    shared = np.isfinite(both[0])
    _, free_low, _ = accuracy(both[1, shared], averaged.item_U[shared])
    if min(free_low, free) <= chance + 1e-9:  # at 0 of n the bound is a rounding error above 0
        return dict.fromkeys(("retention", "retention_low", "retention_high"), np.nan)
    above_B = drawn.draws_BK[:, 1] - chance
    kept_B = np.divide(drawn.draws_BK[:, 0] - chance, above_B, out=np.full(len(above_B), np.inf), where=above_B > 0)
    low, high = np.quantile(kept_B, [0.025, 0.975], method="inverted_cdf")
    return {"retention": (ours - chance) / (free - chance), "retention_low": low, "retention_high": high}


def order_penalty(one: Cube, condition: str, axes: Mapping[str, Mapping[str, Any]]) -> float:
    """Accuracy of the twin that reasons first minus that of this condition; the two differ only in the order of fields."""
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
