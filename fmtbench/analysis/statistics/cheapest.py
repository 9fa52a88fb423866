"""The cheapest arm that is not worse than free text, of those that write a record which a program can read.

What counts of an arm are fields that are right in a reply that keeps the schema; of free text, fields that are right wherever in
the reply they are. So an arm is held to what the model knows, and gets nothing for what only a lenient reader finds. Its price
are the tokens of prompts and replies, of all tries and passes.
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
"""Of an interval that does not lie below zero."""


class PricedArm(NamedTuple):
    """An arm against free text, with what an item costs in tokens under it."""

    effect: Effect
    tokens: float

    @property
    def condition(self) -> str:
        return self.effect.condition


def priced_arms(
    rows: pd.DataFrame, conditions: Iterable[str], margin: float = 0.03, draws: int = DRAWS, seed: int = SEED
) -> list[PricedArm]:
    """Those of `conditions` that have rows, the cheapest first. `rows`: of one backbone and one task, under free_cot too."""
    return sorted(_priced(rows, conditions, margin, draws, seed), key=lambda one: (one.tokens, -one.effect.value))


def _priced(rows: pd.DataFrame, conditions: Iterable[str], margin: float, draws: int, seed: int) -> Iterator[PricedArm]:
    one = _held_to_the_schema(rows)
    tokens = (rows["completion_tokens"] + rows["prompt_tokens"]).groupby(rows["condition"], observed=True).mean()
    for name in conditions:
        if name in one.conditions and name != REFERENCE:
            yield PricedArm(effect_of(one, Pair(name, REFERENCE), margin, draws, seed), float(tokens[name]))


def _held_to_the_schema(rows: pd.DataFrame) -> Cube:
    """The cube whose readings are strict but for free text, in shares of fields."""
    (one,) = cubes(rows)
    shares = pd.DataFrame({reading: right_fields(rows, reading).mean(axis=1) for reading in ("strict", "latent")})
    strict_CU, latent_CU = unit_values(rows, shares)
    free = np.array([name == REFERENCE for name in one.conditions])
    return one._replace(latent_CU=np.where(free[:, None], latent_CU, strict_CU))


def cheapest(arms: Iterable[PricedArm], margin: float) -> PricedArm | None:
    """The first of which nothing says that it is worse than free text; None where there is none."""
    return next((one for one in arms if one.effect.standing(margin) in STANDS), None)
