"""The cheapest arm that is no worse than free text, among those that write a machine-readable record.

An arm is credited with fields that are right in a reply that keeps the schema; free text, with fields that are right anywhere in
the reply. So an arm is compared with what the model knows, and gets no credit for what only a lenient reader finds. Its price is
the tokens of prompts and replies, over all retries and passes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from fmtbench.analysis.rows.fields import right_fields
from fmtbench.analysis.statistics.bootstrap import DRAWS, SEED
from fmtbench.analysis.statistics.cube import Cube, cubes, unit_values
from fmtbench.analysis.statistics.diagnosis import Effect, effect_of
from fmtbench.analysis.statistics.pairs import Pair
from fmtbench.conditions.axes import REFERENCE

STANDS = ("alike", "open", "better")
"""Standings whose interval does not lie below zero."""


class PricedArm(NamedTuple):
    """An arm against free text, with its mean cost of an item in tokens."""

    effect: Effect
    tokens: float

    @property
    def condition(self) -> str:
        return self.effect.condition


def priced_arms(
    rows: pd.DataFrame, conditions: Iterable[str], margin: float = 0.03, draws: int = DRAWS, seed: int = SEED
) -> list[PricedArm]:
    """Those of `conditions` that have rows, cheapest first. `rows`: of one backbone and one task, free_cot included."""
    return sorted(_priced(rows, conditions, margin, draws, seed), key=lambda one: (one.tokens, -one.effect.value))


def _priced(rows: pd.DataFrame, conditions: Iterable[str], margin: float, draws: int, seed: int) -> Iterator[PricedArm]:
    one = _held_to_the_schema(rows)
    tokens = (rows["completion_tokens"] + rows["prompt_tokens"]).groupby(rows["condition"], observed=True).mean()
    for name in conditions:
        if name in one.conditions and name != REFERENCE:
            yield PricedArm(effect_of(one, Pair(name, REFERENCE), margin, draws, seed), float(tokens[name]))


def _held_to_the_schema(rows: pd.DataFrame) -> Cube:
    """A cube whose readings are strict, except for free text, as shares of fields."""
    (one,) = cubes(rows)
    shares = pd.DataFrame({reading: right_fields(rows, reading).mean(axis=1) for reading in ("strict", "latent")})
    strict_CU, latent_CU = unit_values(rows, shares)
    free = np.array([name == REFERENCE for name in one.conditions])
    return one._replace(latent_CU=np.where(free[:, None], latent_CU, strict_CU))


def cheapest(arms: Iterable[PricedArm], margin: float) -> PricedArm | None:
    """The first arm that is not shown to be worse than free text; None where there is none."""
    return next((one for one in arms if one.effect.standing(margin) in STANDS), None)
