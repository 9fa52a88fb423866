"""Tasks whose items are drawn instead of read: fresh ones for every seed, and nothing to download.

class Addition(GeneratedTask[tuple[int, int]]):
    stream       names the task's random numbers
    draw         what makes one item different from another: two numbers
    item         the question and the answer that follow from it
"""

from __future__ import annotations

import itertools
import random
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Generic, TypeVar

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.tasks.base import Task, item_rng
from fmtbench.types import Item

Drawn = TypeVar("Drawn")
T = TypeVar("T")

OTHER_SEED = 1_000_003
"""Added to the seed of the items, it draws the worked examples."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class GeneratedTask(Task, Generic[Drawn]):
    """At most `size` items; fewer where there are no more different ones."""

    seed: int
    size: int = Field(default=200, gt=0)

    @property
    @abstractmethod
    def stream(self) -> tuple[str | int, ...]:
        """The name of the task's random numbers, with the settings that change what is drawn. Another name gives other items."""

    @abstractmethod
    def draw(self, rng: random.Random) -> Drawn:
        """One draw, which can be hashed: the same draw twice would be the same item twice."""

    @abstractmethod
    def item(self, drawn: Drawn, index: int) -> Item:
        """The item made of a draw; `index` is its place among the different ones."""

    def items(self) -> list[Item]:
        return [self.item(drawn, index) for index, drawn in enumerate(distinct(self._draws(), self.size))]

    def other_draws(self, count: int = 8) -> Iterator[Drawn]:
        """Draws of another seed, for worked examples."""
        return distinct(replace(self, seed=self.seed + OTHER_SEED)._draws(), count)

    def _draws(self) -> Iterator[Drawn]:
        return (self.draw(item_rng(self.seed, *self.stream, index)) for index in itertools.count())


def distinct(drawn: Iterable[T], size: int) -> Iterator[T]:
    """The first `size` different values of a stream; stops early after 2000 repeats in a row (the stream is exhausted)."""
    seen: set[T] = set()
    repeats = 0
    for value in drawn:
        if len(seen) == size or repeats == 2000:
            return
        repeats = repeats + 1 if value in seen else 0
        if value not in seen:
            seen.add(value)
            yield value
