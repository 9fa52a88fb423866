"""Coin flip (Wei et al. 2022, chain-of-thought prompting, arXiv 2201.11903), with fresh stories for every seed.

{"id": "coin_flip/4/0-0", "question": "A coin lies heads up. Ada flips it. ... Is it still heads up?", "gold": "yes"}
"""

from __future__ import annotations

import random

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.answers import AnswerKind, YesNo
from fmtbench.tasks.generated import GeneratedTask
from fmtbench.tasks.shuffled_objects import PEOPLE
from fmtbench.types import Item, Shot

Turns = tuple[tuple[str, bool], ...]
"""Who had the coin, and whether they flipped it."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class CoinFlip(GeneratedTask[Turns]):
    """A coin that lies heads up passes through the hands of `people`, each of whom may flip it."""

    people: int = Field(default=4, ge=1, le=8)
    size: int = Field(default=250, gt=0)

    @property
    def stream(self) -> tuple[str | int, ...]:
        return "coin_flip", self.people

    def draw(self, rng: random.Random) -> Turns:
        return tuple((person, rng.random() < 0.5) for person in rng.sample(PEOPLE, self.people))

    def item(self, drawn: Turns, index: int) -> Item:
        return Item(id=f"coin_flip/{self.people}/{self.seed}-{index}", question=_question(drawn), gold=_answer(drawn))

    def kind(self, item: Item) -> AnswerKind:
        return YesNo()

    def worked(self) -> list[Shot]:
        """Stories of another seed."""
        return [_shot(turns) for turns in self.other_draws()]


def _question(turns: Turns) -> str:
    told = [f"{person} flips it." if flips else f"{person} does not flip it." for person, flips in turns]
    return " ".join(["A coin lies heads up.", *told, "Is the coin still heads up?"])


def _flips(turns: Turns) -> int:
    return sum(flips for _, flips in turns)


def _answer(turns: Turns) -> str:
    return "no" if _flips(turns) % 2 else "yes"


def _shot(turns: Turns) -> Shot:
    count = _flips(turns)
    names = [person for person, flips in turns if flips]
    who = f"It is flipped by {' and '.join(names)}" if names else "Nobody flips it"
    parity, side = ("odd", "tails up") if count % 2 else ("even", "heads up")
    reasoning = f"{who}, so the number of flips is {count}, which is {parity}. The coin started heads up and is now {side}."
    return Shot(question=_question(turns), reasoning=reasoning, answer=_answer(turns), draft=f"Flips: {count}; {parity}; {side}.")
