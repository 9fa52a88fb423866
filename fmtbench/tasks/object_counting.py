"""How many of the things on a list are of one sort, modelled on "object counting" of BIG-bench (Srivastava et al. 2022), with
fresh lists for every seed. Words and wording are ours: no data set, no download.

{"id": "object_counting/4/0-0", "question": "On the table are 3 plums, a spoon, ... How many fruits ...?", "gold": "4"}
"""

from __future__ import annotations

import random

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.answers import AnswerKind, Number
from fmtbench.tasks.generated import GeneratedTask
from fmtbench.types import Item

SORTS: dict[str, tuple[tuple[str, str], ...]] = {
    "fruits": (
        ("a plum", "plums"),
        ("a pear", "pears"),
        ("a banana", "bananas"),
        ("a lemon", "lemons"),
        ("a peach", "peaches"),
        ("a fig", "figs"),
    ),
    "tools": (
        ("a hammer", "hammers"),
        ("a saw", "saws"),
        ("a wrench", "wrenches"),
        ("a drill", "drills"),
        ("a chisel", "chisels"),
        ("a file", "files"),
    ),
    "instruments": (
        ("a violin", "violins"),
        ("a flute", "flutes"),
        ("a drum", "drums"),
        ("a trumpet", "trumpets"),
        ("a guitar", "guitars"),
        ("a harp", "harps"),
    ),
    "clothes": (
        ("a coat", "coats"),
        ("a shirt", "shirts"),
        ("a scarf", "scarves"),
        ("a skirt", "skirts"),
        ("a hat", "hats"),
        ("a sweater", "sweaters"),
    ),
}
"""Things of each sort and of no other: the singular with its article, and the plural."""
PLACES = ("On the table", "In the box", "In the shop window", "On the cart")
MOST = 4
"""The most of one thing."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class ObjectCounting(GeneratedTask[tuple[str, int]]):
    """A list of `objects` different things, each once or a few times; some are of the sort that is asked for."""

    objects: int = Field(default=4, ge=2, le=10)

    @property
    def stream(self) -> tuple[str | int, ...]:
        return "object_counting", self.objects

    def draw(self, rng: random.Random) -> tuple[str, int]:
        return _list(rng, self.objects)

    def item(self, drawn: tuple[str, int], index: int) -> Item:
        question, gold = drawn
        return Item(id=f"object_counting/{self.objects}/{self.seed}-{index}", question=question, gold=str(gold))

    def kind(self, item: Item) -> AnswerKind:
        return Number()


def _list(rng: random.Random, objects: int) -> tuple[str, int]:
    """The question and its answer. At least one thing is of the sort that is asked for, and at least one is not."""
    asked, other = rng.sample(sorted(SORTS), 2)
    own = rng.randint(max(1, objects - len(SORTS[other])), min(objects - 1, len(SORTS[asked])))
    wanted = [(thing, rng.randint(1, MOST)) for thing in rng.sample(SORTS[asked], own)]
    others = [(thing, rng.randint(1, MOST)) for thing in rng.sample(SORTS[other], objects - own)]
    listed = [one if count == 1 else f"{count} {several}" for (one, several), count in rng.sample(wanted + others, objects)]
    place = rng.choice(PLACES)
    verb = "is" if listed[0].startswith("a ") else "are"
    things = f"{', '.join(listed[:-1])} and {listed[-1]}"
    return f"{place} {verb} {things}. How many {asked} are there?", sum(count for _, count in wanted)
