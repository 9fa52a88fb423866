"""Prefix swap: a rationale begun under one condition is cut, and continued under the same or the other condition.

    free_cot+json_schema+0.50       begun freely, and continued as JSON from the middle of its words

With H the constraining condition and F the free one there are four arms, each named by where its prefix comes from and what
continues it: Hold (H+H), Release (H+F), Free (F+F) and Bind (F+H). Lock-in L(f) = Free(f) - Release(f) is what lifting the
constraint at f no longer repairs; drag C(f) = Release(f) - Hold(f) is what it still repairs.

Items are chosen on one half of the samples, and everything else is estimated on the other: replies picked because they are wrong
are partly wrong by chance, and new ones less so (regression to the mean). The halves are the even and the odd samples, so that a
reply stays in its half when a run gets more samples. A prefix uses up tokens of the reply's budget.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal, NamedTuple, get_args

from pydantic import ConfigDict, Field, field_validator
from pydantic.dataclasses import dataclass as checked_dataclass

from fmtbench.answers import AnswerKind
from fmtbench.conditions.begun import allowed_after, cut, rationale_of, written
from fmtbench.conditions.condition import Condition
from fmtbench.decoding.residual import in_string
from fmtbench.store.folder import Planned
from fmtbench.types import Constraint, Generation, Item, Message, whole

Uncut = Literal[
    "no_reply", "engine_error", "truncated", "answer_first", "no_rationale", "special_in_prefix", "not_escapable", "too_long"
]
"""Why the replies of an item and sample are not cut. `no_rationale`: the rationale has fewer than `SwapSettings.words` words; the
whole item is then left out. `special_in_prefix`: it spells a special token. `not_escapable`: it has a character that a decoder's
strings cannot hold. `too_long`: no token of the budget is left after it. `truncated`: where it would have ended is unknown."""
UNCUT: tuple[Uncut, ...] = get_args(Uncut)
Unit = tuple[str, int]
"""Item and sample."""
NAME = re.compile(r"(?P<origin>[\w.-]+)\+(?P<mode>[\w.-]+)\+(?P<fraction>[01]\.\d\d)")
SUFFIX = "-swap"
"""The suffix of the experiment of the swapped cells."""
FACTS = "swap"
"""The manifest's key for the names of the two conditions, whether the replies belong to the greedy null, and the number of units
in no arm, by reason."""
GREEDY = "-greedy"
"""The suffix of the experiment of the greedy null."""


class Arm(NamedTuple):
    """Where a prefix comes from, what continues it, and where it is cut."""

    origin: str
    mode: str
    fraction: float

    def __str__(self) -> str:
        return f"{self.origin}+{self.mode}+{self.fraction:.2f}"


def arm_of(condition: str) -> Arm | None:
    """The arm that a condition's name denotes; None for any other condition."""
    found = NAME.fullmatch(condition)
    return Arm(found["origin"], found["mode"], float(found["fraction"])) if found else None


def estimates(sample: int) -> bool:
    """Whether a sample is in the half used for estimates; the other half is used to choose items."""
    return sample % 2 == 1


def in_order(fractions: tuple[float, ...]) -> tuple[float, ...]:
    """The places at which rationales are cut. Raises `ValueError` if they are not fractions."""
    told = {f"{one:.2f}" for one in fractions}
    sound = len(told) == len(fractions) > 1 and list(fractions) == sorted(fractions) and all(0 <= one <= 1 for one in fractions)
    if not sound:
        raise ValueError("must be two numbers or more from 0 to 1, in order, and differ by 0.01 or more")
    return fractions


@checked_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class SwapSettings:
    """Which conditions are swapped, and where."""

    free: str = "free_cot"
    held: str = "json_schema"
    fractions: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    words: int = Field(default=5, gt=0)
    """A rationale is cut only if it has at least this many words."""
    greedy: bool = True
    """Whether to generate greedy replies too, and continue them from their own prefixes: if one then ends differently, neither
    the format nor chance is the cause, but rounding, or tokens that the tokenizer would not have chosen."""

    @field_validator("fractions")
    @classmethod
    def _in_order(cls, given: tuple[float, ...]) -> tuple[float, ...]:
        return in_order(given)

    def experiment(self, name: str) -> str:
        """The experiment name of a swap's cells.

        Every pair of conditions except the default one has its own folder: which replies are in the arms depends on both
        conditions, even in the arm in which free text is continued freely.
        """
        usual = (self.free, self.held) == (SwapSettings.free, SwapSettings.held)
        return f"{name}{SUFFIX}" if usual else f"{name}{SUFFIX}+{self.free}+{self.held}"

    def own_arms(self, name: str) -> list[Arm]:
        """The arms in which a condition's replies are continued under it from their own prefix."""
        return [Arm(name, name, fraction) for fraction in self.fractions if fraction]

    @property
    def arms(self) -> list[Arm]:
        both = (self.free, self.held)
        return [Arm(*one) for one in product(both, both, self.fractions)]


class PrefixTokens(NamedTuple):
    """What a swap needs to know about a tokenizer."""

    count: Callable[[str], int]
    special: re.Pattern[str]
    """Matches text that spells a special token."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """A condition's requests and replies, from a cell that has run."""

    condition: Condition
    planned: Sequence[Planned]
    said: Mapping[str, Generation]
    """The replies, by request key."""

    @property
    def asked(self) -> dict[Unit, Planned]:
        """The requests of the half used for estimates; all of them if greedy."""
        return {(one.item.id, one.sample): one for one in self.planned if not one.request.temperature or estimates(one.sample)}


class Swapped(NamedTuple):
    """The requests of each arm, and the number of units in no arm, by reason."""

    planned: dict[Arm, list[Planned]]
    left_out: dict[Uncut, int]


class UncutError(Exception):
    """Why a reply is not cut; raised to give up on one unit."""

    def __init__(self, why: Uncut) -> None:
        super().__init__(why)
        self.why = why


def cuttable(condition: Condition, reply: Generation | None, kind: AnswerKind, *, words: int, special: re.Pattern[str]) -> str:
    """What a reply says before its answer. Raises `UncutError` if that cannot be cut.

    `words`: the fewest words it may have. `special`: matches text that spells a special token.
    """
    if reply is None or reply.finish_reason == "error":
        raise UncutError("no_reply" if reply is None else "engine_error")
    if reply.finish_reason == "length":
        raise UncutError("truncated")
    said = rationale_of(condition, whole(reply.text)[0], kind)
    if said is None:
        raise UncutError("answer_first")
    if len(said.split()) < words:
        raise UncutError("no_rationale")
    if special.search(said):
        raise UncutError("special_in_prefix")
    return said


@dataclass(frozen=True, kw_only=True)
class Swap:
    """The sides of one task, prompt and seed, by the names of their conditions, and the plan of their arms.

    An item and sample is in every arm or in none, so that the points of a curve cover the same replies.
    """

    sides: Mapping[str, Side]
    arms: Sequence[Arm]
    kind_of: Callable[[Item], AnswerKind]
    tokens: PrefixTokens
    identity: Callable[[Constraint | None], str]
    seed_of: Callable[[Planned], int]
    """The seed of the continuations of an item and sample, which are new draws: the same in every arm, so that without a prefix
    both origins share one request."""
    words: int = 5

    def plan(self) -> Swapped:
        asked = {name: side.asked for name, side in self.sides.items()}
        units = [unit for unit in next(iter(asked.values())) if all(unit in own for own in asked.values())]
        refused: dict[Unit, Uncut] = {}
        made: dict[Unit, dict[Arm, Planned]] = {}
        for unit in units:
            try:
                made[unit] = self._unit({name: own[unit] for name, own in asked.items()})
            except UncutError as error:
                refused[unit] = error.why
        bare = {item for (item, _), why in refused.items() if why == "no_rationale"}
        refused |= {unit: "no_rationale" for unit in made if unit[0] in bare}
        kept = [arms for unit, arms in made.items() if unit not in refused]
        counted = Counter(refused.values())
        return Swapped(
            {arm: [one[arm] for one in kept] for arm in self.arms}, {why: counted[why] for why in UNCUT if counted[why]}
        )

    def _unit(self, asked: Mapping[str, Planned]) -> dict[Arm, Planned]:
        rationales = {name: self._rationale(self.sides[name], one) for name, one in asked.items()}
        modes = {arm.mode: self.sides[arm.mode].condition for arm in self.arms}
        allowed = {name: allowed_after(condition, self.kind_of(asked[name].item)) for name, condition in modes.items()}
        prefixes = {arm: written(modes[arm.mode], cut(rationales[arm.origin], arm.fraction)) for arm in self.arms}
        return {arm: self._continued(asked[arm.mode], prefix, allowed[arm.mode]) for arm, prefix in prefixes.items()}

    def _rationale(self, side: Side, one: Planned) -> str:
        reply, kind = side.said.get(one.request.key), self.kind_of(one.item)
        said = cuttable(side.condition, reply, kind, words=self.words, special=self.tokens.special)
        if not in_string(said):
            raise UncutError("not_escapable")
        return said

    def _continued(self, one: Planned, prefix: str, constraint: Constraint | None) -> Planned:
        """The request of `one` with its reply begun, and with what that leaves of its budget."""
        left = one.request.max_tokens - self.tokens.count(prefix)
        if left < 1:
            raise UncutError("too_long")
        message = (Message(role="assistant", content=prefix),) if prefix else ()
        request = replace(
            one.request,
            messages=(*one.request.messages, *message),
            constraint=constraint,
            max_tokens=left,
            seed=self.seed_of(one) if one.request.temperature else None,
            identity=self.identity(constraint),
        )
        return replace(one, request=request)
