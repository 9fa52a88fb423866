"""The value of an expression of True, False, `and`, `or` and `not`, modelled on "boolean expressions" of BIG-bench Hard (Suzgun
et al. 2022), with fresh expressions for every seed.

{"id": "boolean_expressions/3/...", "question": "What is the value of: not True and (False or True) or False", "gold": "False"}
"""

from __future__ import annotations

import hashlib
import itertools
import random

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.answers import AnswerKind, Label
from fmtbench.tasks.generated import GeneratedTask
from fmtbench.types import Item

LABELS = ("True", "False")
NEGATED = 0.3
"""The share of parts that are preceded by a `not`."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class BooleanExpressions(GeneratedTask[tuple[str, bool]]):
    """Expressions with `operators` occurrences of `and` or `or`, as Python reads them; about half of them are true."""

    operators: int = Field(default=3, ge=2, le=8)

    @property
    def stream(self) -> tuple[str | int, ...]:
        return "boolean_expressions", self.operators

    def draw(self, rng: random.Random) -> tuple[str, bool]:
        """The value is drawn first, then expressions until one has it: with many operators most would be true."""
        wanted = rng.random() < 0.5
        drawn = (_expression(rng, self.operators) for _ in itertools.count())
        return next((text, truth) for text, truth in drawn if truth == wanted)

    def item(self, drawn: tuple[str, bool], index: int) -> Item:
        text, truth = drawn
        digest = hashlib.sha256(text.encode()).hexdigest()[:10]
        return Item(
            id=f"boolean_expressions/{self.operators}/{digest}",
            question=f"What is the value of this expression? First `not`, then `and`, then `or`.\n{text}",
            gold=str(truth),
        )

    def kind(self, item: Item) -> AnswerKind:
        return Label(labels=LABELS)


def _expression(rng: random.Random, operators: int) -> tuple[str, bool]:
    """Text and value: a chain of values and of bracketed pairs, read with Python's precedence."""
    parts: list[tuple[str, bool]] = []
    joined: list[str] = []
    left = operators
    while left >= 0:
        bracketed = left >= 1 and rng.random() < 0.4
        parts.append(_bracket(rng) if bracketed else _value(rng))
        left -= 2 if bracketed else 1  # a bracket contains an operator, and each part follows one
        joined.append(rng.choice(("and", "or")))
    words = [word for part, sign in zip(parts, joined) for word in (part[0], sign)][:-1]
    return " ".join(words), _chain([value for _, value in parts], joined[:-1])


def _value(rng: random.Random) -> tuple[str, bool]:
    value = rng.random() < 0.5
    return (f"not {value}", not value) if rng.random() < NEGATED else (str(value), value)


def _bracket(rng: random.Random) -> tuple[str, bool]:
    (one, first), sign, (other, second) = _value(rng), rng.choice(("and", "or")), _value(rng)
    text, value = f"({one} {sign} {other})", first and second if sign == "and" else first or second
    return (f"not {text}", not value) if rng.random() < NEGATED else (text, value)


def _chain(values: list[bool], signs: list[str]) -> bool:
    """The value of the chain. `and` binds closer, so it is true if all values between two `or` are true anywhere."""
    stretches = [[values[0]]]
    for sign, value in zip(signs, values[1:]):
        if sign == "or":
            stretches.append([])
        stretches[-1].append(value)
    return any(map(all, stretches))
