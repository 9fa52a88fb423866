"""Last-letter concatenation (Wei et al. 2022, chain-of-thought prompting), with fresh words for every seed.

{"id": "last_letter/4/amber-stone-river-cloud", "question": "Take the last letters of ...", "gold": "rerd"}
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.answers import AnswerKind, Text
from fmtbench.tasks.base import Task, distinct, item_rng
from fmtbench.types import Item

WORDS = (
    "amber apple arrow basil beach birch bread brick brook cabin camel candle canyon cedar chalk cliff cloud clover coral "
    "cotton crane crystal daisy desert dragon eagle ember falcon feather fern field flame flint forest fossil fox garden "
    "ginger glacier granite grape harbor hazel heron hill honey island ivory jasmine jungle kettle lagoon lantern leaf lemon "
    "lily linen lotus maple marble meadow mint mirror moss mountain needle nest oak ocean olive onyx orchid otter owl palm "
    "panther paper pearl pebble pepper pine planet plum pond poppy prairie quartz rabbit rain raven reed ribbon river robin "
    "rose saddle salmon sand sapphire shadow shell silver sky snow spark spruce star stone storm stream summit swan thistle "
    "thunder tiger timber topaz trail tulip valley velvet violet walnut water wheat willow wind winter wolf wren zebra"
).split()


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class LastLetter(Task):
    """The last letters of `words` different words, put together."""

    seed: int
    words: int = Field(default=4, ge=2, le=8)
    size: int = Field(default=200, gt=0)

    def items(self) -> list[Item]:
        return [_item(words) for words in distinct(self._draws(), self.size)]

    def _draws(self) -> Iterator[tuple[str, ...]]:
        for index in itertools.count():
            yield tuple(item_rng(self.seed, "last_letter", self.words, index).sample(WORDS, self.words))

    def kind(self, item: Item) -> AnswerKind:
        return Text(what="a string of letters")


def _item(words: tuple[str, ...]) -> Item:
    return Item(
        id=f"last_letter/{len(words)}/{'-'.join(words)}",
        question=f'Take the last letter of each word in "{" ".join(words)}" and put these letters together in the same order.',
        gold="".join(word[-1] for word in words),
    )
