"""What happens to answers that a format cost once the model may think again in prose: does letting go bring them back?

A condition with `when: reconsider` shows the model its own reply and asks for a new answer in prose. An item is locked where
the model solves it freely and its reply in the format is wrong. Self-unlock is

    P(right afterwards | locked)  -  P(right afterwards | wrong freely, that free reply reconsidered),

so that a model which merely changes its answers has none. Yet locked items are ones that the model can solve, and those that
it gets wrong freely often are not, so chance alone gives a difference too. Hence the floor: among free replies that are
wrong, those to items that other free samples solve, which is what a format that does nothing would lock. Only the excess over
the floor is due to the format. Models also lose right answers when they think again (Huang et al. 2024, arXiv
2310.01798): `spoilt`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fmtbench.analysis.rows.levels import RECONSIDERED, WHOLE, levels
from fmtbench.analysis.statistics.bootstrap import FEWER_DRAWS, SEED, Draws, bootstrap
from fmtbench.analysis.statistics.cube import RERUN, Array, Cube, cubes, sums
from fmtbench.analysis.tables.lockin import ONE_SAMPLE, rate_units, same_words
from fmtbench.conditions.axes import REFERENCE
from fmtbench.errors import UserError

READINGS = ("strict", "latent")
RATES = ("unlocked", "corrected", "floor", "spoilt")
DIFFERENCES = {"self_unlock": ("unlocked", "corrected"), "excess": ("unlocked", "floor")}
NONE_LOCKED = "no reply is locked"


class Chain(NamedTuple):
    """The conditions that one row compares."""

    condition: str
    """The reconsidered one, whose rows are the second replies."""
    before: str
    """The one that it reconsiders, whose rows are the first replies."""
    reference: str
    control: str | None
    """The reference reconsidered, if it was run."""


def reconsidered_table(
    rows: pd.DataFrame,
    axes: Mapping[str, Mapping[str, Any]],
    reference: str = REFERENCE,
    draws: int = FEWER_DRAWS,
    seed: int = SEED,
) -> pd.DataFrame:
    """One row for each backbone, task, reconsidered condition and reading (`strict`, `latent`); rates in 0..1 over replies.

    `unlocked`: right afterwards, of the locked; `corrected`: right afterwards, of those wrong freely and reconsidered;
    `floor`: the same, of those that another free sample solves; `spoilt`: wrong afterwards, of those right before.
    `self_unlock` is unlocked less corrected, `excess` unlocked less floor, each with its 95% bootstrap interval over items.
    `locked`: the number of replies in the first rate, where an item that is solved freely half the time counts half.
    For the control itself, `unlocked` is its own floor. Raises `UserError` where no reconsidered condition comes with both
    the condition that it reconsiders and the reference.
    """
    lines = [
        _line(one, chain, axes, reading, draws, seed)
        for one in cubes(rows)
        for chain in chains(one.conditions, axes, reference)
        for reading in READINGS
    ]
    if not lines:
        raise UserError(
            f"no reply was reconsidered: run condition=[{reference},{reference}_reconsidered,"
            "json_schema,json_schema_reconsidered]"
        )
    return pd.DataFrame(lines)


def chains(conditions: tuple[str, ...], axes: Mapping[str, Mapping[str, Any]], reference: str) -> Iterator[Chain]:
    """Every reconsidered condition that comes with the one it reconsiders, and the reference."""
    known = {levels(axes[name]): name for name in reversed(conditions) if name in axes and not name.endswith(RERUN)}
    if reference not in known.values():
        return
    control = known.get(levels({**axes[reference], "when": RECONSIDERED}))
    for condition in known.values():
        before = known.get(levels({**axes[condition], "when": WHOLE}))
        if axes[condition].get("when") == RECONSIDERED and before:
            yield Chain(condition, before, reference, control)


def _line(one: Cube, chain: Chain, axes: Mapping[str, Mapping[str, Any]], reading: str, draws: int, seed: int) -> dict[str, Any]:
    read = one._replace(strict_CU=one.scores(reading))
    values_KU, weights_KU = units(read, chain, same_words(chain.before, chain.reference, axes))
    drawn = bootstrap(sums(values_KU, read, weights_KU), draws, seed, rates=True, together=True)
    measured = np.isfinite(drawn.means_K)
    notes = {
        NONE_LOCKED: not measured[0],
        f"self_unlock needs {chain.reference}_reconsidered": chain.control is None,
        ONE_SAMPLE: chain.control is not None and not measured[2],
    }
    return {
        "backbone": one.backbone,
        "task": one.task,
        "condition": chain.condition,
        "before": chain.before,
        "reference": chain.reference,
        "reading": reading,
        "n": len(np.unique(one.item_U[np.isfinite(values_KU[3])])),
        "locked": float(np.nansum(weights_KU[0][np.isfinite(values_KU[0])])),
        **_rates(drawn),
        **{name: value for pair in DIFFERENCES.items() for name, value in _difference(drawn, *pair)},
        "note": "; ".join(note for note, holds in notes.items() if holds),
    }


def units(one: Cube, chain: Chain, apart: bool) -> tuple[Array, Array]:
    """Values and weights of the `RATES` by unit, 4 x units; NaN where a unit does not count in one.

    `apart`: the free sample with a unit's own seed does not say whether its item is solved freely (see `lockin`).
    """
    after_U, before_U, free_U = (one.strict_CU[one.at(name)] for name in (chain.condition, chain.before, chain.reference))
    nothing_U = np.full(len(after_U), np.nan)
    again_U = one.strict_CU[one.at(chain.control)] if chain.control else nothing_U
    solved_U = rate_units(one, chain.before, chain.reference, apart).weights_KU[0]
    others = rate_units(one, chain.reference, chain.reference, apart=True)
    others_U = others.weights_KU[0] if others.floor else nothing_U
    values = [after_U, again_U, again_U, 1 - after_U]
    weights = [solved_U * (1 - before_U), 1 - free_U, others_U * (1 - free_U), before_U]
    return np.vstack(values), np.vstack(weights)


def _rates(drawn: Draws) -> dict[str, float]:
    low, high = drawn.interval(bounds=(0, 1))
    named: dict[str, float] = {}
    for k, name in enumerate(RATES):
        ends = (low[k], high[k]) if np.isfinite(drawn.means_K[k]) else (np.nan, np.nan)
        named |= {name: drawn.means_K[k], f"{name}_low": ends[0], f"{name}_high": ends[1]}
    return named


def _difference(drawn: Draws, name: str, rates: tuple[str, str]) -> Iterator[tuple[str, float]]:
    one, other = map(RATES.index, rates)
    value = drawn.means_K[one] - drawn.means_K[other]
    ends = np.full(2, np.nan)
    if np.isfinite(value):
        ends = np.nanquantile(drawn.draws_BK[:, one] - drawn.draws_BK[:, other], [0.025, 0.975])
    yield from zip((name, f"{name}_low", f"{name}_high"), (float(value), *map(float, ends)))
