"""Tracking shuffled objects (BIG-bench; Srivastava et al. 2022), with fresh stories for every seed.

{"id": "shuffled_objects/3/0-0", "question": "Ada, Ben and Chloe ... (A) the red ball ...", "gold": "B"}
"""

from __future__ import annotations

import random
from typing import Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from fmtbench.answers import AnswerKind, Choice
from fmtbench.tasks.generated import GeneratedTask
from fmtbench.types import Item

PEOPLE = ("Ada", "Ben", "Chloe", "Deniz", "Emre", "Fatima", "Goran", "Hana", "Ivan", "Jun")
BALLS = ("red ball", "blue ball", "green ball", "yellow ball", "white ball", "black ball", "orange ball", "purple ball")

Story = tuple[str, str, tuple[str, ...]]
"""The question, the letter of its answer, and its options."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class ShuffledObjects(GeneratedTask[Story]):
    """`objects` people hold one ball each and swap in pairs as many times; who holds what at the end?"""

    objects: Literal[3, 5, 7] = 3

    @property
    def stream(self) -> tuple[str | int, ...]:
        return "shuffled", self.objects

    def draw(self, rng: random.Random) -> Story:
        return _story(rng, self.objects)

    def item(self, drawn: Story, index: int) -> Item:
        question, gold, choices = drawn
        return Item(id=f"shuffled_objects/{self.objects}/{self.seed}-{index}", question=question, gold=gold, choices=choices)

    def kind(self, item: Item) -> AnswerKind:
        return Choice(options=item.choices)


def _story(rng: random.Random, objects: int) -> Story:
    people, balls = rng.sample(PEOPLE, objects), rng.sample(BALLS, objects)
    held = dict(zip(people, balls))
    sentences = ["At the start, " + "; ".join(f"{person} holds the {ball}" for person, ball in held.items()) + "."]
    for _ in range(objects):
        one, other = rng.sample(people, 2)
        held[one], held[other] = held[other], held[one]
        sentences.append(f"Then {one} and {other} swap balls.")
    asked, options = rng.choice(people), tuple(sorted(balls))
    sentences.append(f"Which ball does {asked} hold at the end?")
    letters = {option: chr(ord("A") + i) for i, option in enumerate(options)}
    listed = "\n".join(f"({letter}) {option}" for option, letter in letters.items())
    return " ".join(sentences) + "\n" + listed, letters[held[asked]], options
