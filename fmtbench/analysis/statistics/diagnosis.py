"""Does a schema hurt, and which part of it? Paired differences in the share of a record's fields that are right.

    diagnose(rows, [SchemaPart(name="enum", condition="own_schema_open_enums", fault="...", change="...")])

`own_schema` is compared with free text, step by step, and then with itself after one change at a time. This is not a fractional
factorial: the effects of parts do not add up (a field that is left out cannot be invented), and a fraction would blame one part
for what two do together.

A part is named where changing it helps, after Holm's correction over all changes that were tried: if no change has an effect, at
most one study in twenty names any part, whatever the number of parts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from pydantic.dataclasses import dataclass

from fmtbench.analysis.rows.fields import right_fields
from fmtbench.analysis.statistics.bootstrap import DRAWS, SEED, bootstrap
from fmtbench.analysis.statistics.components import components
from fmtbench.analysis.statistics.cube import Array, Cube, Sums, cells, cubes, sums, unit_values
from fmtbench.analysis.statistics.exact import LEVEL, ROUNDING, adjust, sign_test
from fmtbench.analysis.statistics.pairs import Pair, difference_KU
from fmtbench.analysis.statistics.per_item import Interval, paired_difference
from fmtbench.analysis.statistics.sizes import FEWEST_ITEMS, items_for
from fmtbench.conditions.axes import REFERENCE

OWN = "own_schema"
STEPS = {
    "direct": "no rationale",
    "own_schema_unenforced": "JSON asked for, the schema in the prompt",
    OWN: "the schema enforced",
}
"""From free text to the schema: what each condition adds to the one before it."""
READING = "latent"
"""A lenient reader, the same for every condition: a format's cost must not depend on where the answer is looked for."""
Standing = Literal["worse", "better", "alike", "open"]


@dataclass(frozen=True, kw_only=True, config={"extra": "forbid"})
class SchemaPart:
    """A part of a schema, and the condition that changes only this part."""

    name: str
    condition: str
    fault: str
    """What is wrong if the change helps."""
    change: str
    """What to do about it."""


class Effect(NamedTuple):
    """Condition minus reference, as shares."""

    condition: str
    reference: str
    items: int
    value: float
    low: float
    high: float
    p: float
    moved: int
    """Items on which the two conditions differ."""
    needed: int | None
    """Items that detect the difference that matters with a power of 0.8; None where no number does."""

    def deciding(self, margin: float) -> int | None:
        """Items that would decide if the difference stays as it is: enough to detect the margin, and enough for the interval to
        exclude zero or to fit inside the margin. The interval narrows with the square root of the number of items, or with the
        number itself where no item differs."""
        if self.needed is None:
            return None
        wide = (self.high - self.low) / 2 / max(abs(self.value), margin - abs(self.value))
        if not self.moved:
            return math.ceil((self.items + 2) * wide)  # two items are imaginary
        return max(self.needed, math.ceil(self.items * wide**2 - 1e-6))

    def standing(self, margin: float) -> Standing:
        """The verdict of the 95% interval; `alike` where it lies within the margin on both sides."""
        if self.high < 0:
            return "worse"
        if self.low > 0:
            return "better"
        return "alike" if -margin < self.low and self.high < margin else "open"


class PartEffect(NamedTuple):
    """What changing one part of the schema does."""

    part: SchemaPart
    effect: Effect
    p_adjusted: float
    fields: tuple[str, ...]
    """For a named part, the fields that the change helps."""
    tokens: Interval
    """How much longer a reply gets."""
    prompt_tokens: Interval

    @property
    def named(self) -> bool:
        return bool(self.effect.value > 0 and self.p_adjusted < LEVEL)


class Diagnosis(NamedTuple):
    items: int
    margin: float
    """The difference that matters, as a share."""
    whole: Effect
    """The schema against free text."""
    steps: tuple[Effect, ...]
    """They add up to the whole."""
    parts: tuple[PartEffect, ...]

    @property
    def named(self) -> tuple[PartEffect, ...]:
        """The named parts, largest gain first."""
        return tuple(sorted((one for one in self.parts if one.named), key=lambda one: -one.effect.value))

    @property
    def needed(self) -> int | None:
        """Items at which every comparison detects the margin; None where no number does."""
        each = [one.needed for one in (self.whole, *(one.effect for one in self.parts))]
        return None if None in each else max(one for one in each if one is not None)


def diagnose(
    rows: pd.DataFrame, parts: Sequence[SchemaPart], margin: float = 0.03, draws: int = DRAWS, seed: int = SEED
) -> Diagnosis:
    """`rows`: of one backbone and one task whose answers are records, under free_cot, the conditions of `STEPS` and those of the
    parts; a part whose condition is missing is left out. Intervals are for the prompts that were asked."""
    (one,) = cubes(rows)
    fields = right_fields(rows)
    one = one._replace(latent_CU=unit_values(rows, fields.mean(axis=1).to_frame())[0])
    ladder = [REFERENCE, *STEPS]
    there = [part for part in parts if part.condition in one.conditions]
    pairs = [Pair(OWN, REFERENCE), *map(Pair, ladder[1:], ladder), *(Pair(part.condition, OWN) for part in there)]
    whole, *rest = (effect_of(one, pair, margin, draws, seed) for pair in pairs)
    steps, changed = rest[: len(STEPS)], rest[len(STEPS) :]
    p_adjusted = adjust(np.array([one.p for one in changed]), np.ones(len(changed), bool))
    cost = rows.groupby(["condition", "item_id"], observed=True)[list(TOKENS)].mean()
    found = []
    for part, effect, p in zip(there, changed, p_adjusted):
        gained = gained_fields(one, fields, rows, effect) if effect.value > 0 and p < LEVEL else ()
        found.append(PartEffect(part, effect, float(p), gained, *longer(cost, effect, draws, seed)))
    return Diagnosis(whole.items, margin, whole, tuple(steps), tuple(found))


TOKENS = ("completion_tokens", "prompt_tokens")


def effect_of(one: Cube, pair: Pair, margin: float, draws: int, seed: int) -> Effect:
    """The effect on the readings in the cube's `latent_CU`.

    The bootstrap and the plan add a few imaginary items to the observed ones, with differences as large as a verdict: one right,
    one wrong. A share of fields mostly moves by less, so both get the differences in units of their typical size (`_unit`).
    """
    averaged = cells(one)
    unit = _unit(sums(difference_KU(averaged, [pair], READING), averaged))
    scaled = one._replace(latent_CU=one.latent_CU / unit)
    averaged = cells(scaled)
    summed = sums(difference_KU(averaged, [pair], READING), averaged)
    drawn = bootstrap(summed, draws, seed)
    value, low, high = (unit * float(end[0]) for end in (drawn.means_K, *drawn.interval(bounds=(-1 / unit, 1 / unit))))
    there_I = summed.count_IPK[:, :, 0].sum(1) > 0
    total_I = unit * summed.value_IPK[:, :, 0].sum(1)[there_I]
    moved = int((np.abs(total_I) > ROUNDING).sum())
    return Effect(*pair, len(total_I), value, low, high, sign_test(total_I).p_mid, moved, _needed(scaled, pair, margin / unit))


def _unit(summed: Sums) -> float:
    """Root mean square of the items' nonzero differences; where all are zero, a whole record, since a record that breaks loses
    all of its fields."""
    count_I = summed.count_IPK[:, :, 0].sum(1)
    mean_I = summed.value_IPK[:, :, 0].sum(1)[count_I > 0] / count_I[count_I > 0]
    moved_I = mean_I[np.abs(mean_I) > ROUNDING]
    return float(np.sqrt((moved_I**2).mean())) if len(moved_I) else 1.0


def _needed(one: Cube, pair: Pair, margin: float) -> int | None:
    known = components(one, pair, READING)
    if known is None:
        return None
    prompts, samples = len(np.unique(one.prompt_U)), len(np.unique(one.sample_U))
    found = items_for(margin, known, prompts, samples)
    return None if found is None else max(found, FEWEST_ITEMS)


def gained_fields(one: Cube, fields: pd.DataFrame, rows: pd.DataFrame, effect: Effect) -> tuple[str, ...]:
    """The fields that a change helps, after Holm's correction over all fields; largest gain first."""
    pair = Pair(effect.condition, effect.reference)
    totals = [_totals(one._replace(latent_CU=array), pair) for array in unit_values(rows, fields)]
    p = adjust(np.array([sign_test(total_I).p_mid for total_I in totals]), np.ones(len(totals), bool))
    gains = {str(name): total_I.sum() for name, total_I, one_p in zip(fields.columns, totals, p) if one_p < LEVEL}
    return tuple(name for name, gain in sorted(gains.items(), key=lambda pair: -pair[1]) if gain > 0)


def _totals(one: Cube, pair: Pair) -> Array:
    averaged = cells(one)
    summed = sums(difference_KU(averaged, [pair], READING), averaged)
    total_I: Array = summed.value_IPK[:, :, 0].sum(1)
    return total_I


def longer(cost: pd.DataFrame, effect: Effect, draws: int, seed: int) -> tuple[Interval, Interval]:
    """By how many tokens a reply, and its prompt, are longer under the condition than under the reference. `cost`: means by
    condition and item."""
    ours, base = cost.xs(effect.condition), cost.xs(effect.reference)
    reply, prompt = (paired_difference(ours[name], base[name], draws, seed) for name in TOKENS)
    return reply, prompt
