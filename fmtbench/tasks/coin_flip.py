"""Coin flip (Wei et al. 2022, chain-of-thought prompting, arXiv 2201.11903), with fresh stories for every seed.

{"id": "coin_flip/4/0-0", "question": "A coin lies heads up. Ada flips it. ... Is it still heads up?", "gold": "yes"}
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.answers import AnswerKind, YesNo
from fmtbench.tasks.base import OTHER_SEED, Task, distinct, item_rng
from fmtbench.tasks.shuffled_objects import PEOPLE
from fmtbench.types import Item, Shot

Turns = tuple[tuple[str, bool], ...]
"""Who had the coin, and whether they flipped it."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class CoinFlip(Task):
    """A coin that lies heads up goes through the hands of `people`, each of whom flips it or does not."""

    seed: int
    people: int = Field(default=4, ge=1, le=8)
    size: int = Field(default=250, gt=0)

    def items(self) -> list[Item]:
        return [
            Item(id=f"coin_flip/{self.people}/{self.seed}-{i}", question=_question(turns), gold=_answer(turns))
            for i, turns in enumerate(distinct(self._draws(), self.size))
        ]

    def _draws(self) -> Iterator[Turns]:
        for index in itertools.count():
            rng = item_rng(self.seed, "coin_flip", self.people, index)
            yield tuple((person, rng.random() < 0.5) for person in rng.sample(PEOPLE, self.people))

    def kind(self, item: Item) -> AnswerKind:
        return YesNo()

    def worked(self) -> list[Shot]:
        """Stories of another seed."""
        drawn = distinct(replace(self, seed=self.seed + OTHER_SEED)._draws(), 8)
        return [_shot(turns) for turns in drawn]


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
