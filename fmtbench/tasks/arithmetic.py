"""Sums of two numbers, and word problems of one to three steps: fresh items for every seed, no download.

{"id": "addition/27+5", "question": "What is 27 + 5?", "gold": "32"}
"""

from __future__ import annotations

import random

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.answers import AnswerKind, Number
from fmtbench.tasks.generated import GeneratedTask
from fmtbench.types import Item, Shot


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Addition(GeneratedTask[tuple[int, int]]):
    """`a + b`, each of at most `digits` digits."""

    digits: int = Field(default=1, ge=1, le=3)

    @property
    def stream(self) -> tuple[str | int, ...]:
        return "addition", self.digits

    def draw(self, rng: random.Random) -> tuple[int, int]:
        return rng.randrange(10**self.digits), rng.randrange(10**self.digits)

    def item(self, drawn: tuple[int, int], index: int) -> Item:
        a, b = drawn
        return Item(id=f"addition/{a}+{b}", question=f"What is {a} + {b}?", gold=str(a + b))

    def kind(self, item: Item) -> AnswerKind:
        return Number()

    def worked(self) -> list[Shot]:
        """Sums of another seed."""
        return [
            Shot(question=f"What is {a} + {b}?", reasoning=f"{a} plus {b} makes {a + b}.", answer=str(a + b))
            for a, b in self.other_draws()
        ]


NAMES = ("Ada", "Ben", "Chloe", "Deniz", "Emre", "Fatima", "Goran", "Hana", "Ivan", "Jun", "Kofi", "Lena", "Mina", "Noor")
THINGS = ("apples", "stamps", "marbles", "books", "coins", "pencils", "shells", "stickers", "tickets", "buttons")


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class WordProblems(GeneratedTask[tuple[str, int]]):
    """A short story in which somebody gains, loses, multiplies or shares things, `steps` times."""

    steps: int = Field(default=2, ge=1, le=3)

    @property
    def stream(self) -> tuple[str | int, ...]:
        return "word_problems", self.steps

    def draw(self, rng: random.Random) -> tuple[str, int]:
        return _story(rng, self.steps)

    def item(self, drawn: tuple[str, int], index: int) -> Item:
        question, gold = drawn
        return Item(id=f"word_problems/{self.steps}/{self.seed}-{index}", question=question, gold=str(gold))

    def kind(self, item: Item) -> AnswerKind:
        return Number()


def _story(rng: random.Random, steps: int) -> tuple[str, int]:
    """The question and its answer; every quantity on the way is a whole number above zero."""
    name, things = rng.choice(NAMES), rng.choice(THINGS)
    count = rng.randint(3, 20)
    sentences = [f"{name} has {count} {things}."]
    for _ in range(steps):
        sentence, count = _step(rng, things, count)
        sentences.append(sentence)
    return " ".join([*sentences, f"How many {things} does {name} have now?"]), count


def _step(rng: random.Random, things: str, count: int) -> tuple[str, int]:
    amount = rng.randint(2, 12)
    divisors = [d for d in (2, 3, 4, 5) if count % d == 0 and count > d]
    moves = ["gain", "triple"] if count <= 30 else ["gain"]
    moves += ["lose"] * (count > 2) + ["share"] * bool(divisors)
    match rng.choice(moves):
        case "gain":
            return f"A friend brings {amount} more {things}.", count + amount
        case "lose":
            lost = rng.randint(1, min(count - 1, 12))
            return f"Then {lost} of the {things} {'is' if lost == 1 else 'are'} given away.", count - lost
        case "triple":
            times = rng.randint(2, 4)
            return f"Then the number of {things} grows to {times} times what it was.", count * times
        case _:
            people = rng.choice(divisors)
            return f"Then the {things} are shared equally among {people} people, and only one share is kept.", count // people
