"""Last-letter concatenation (Wei et al. 2022, chain-of-thought prompting), with fresh words for every seed.

{"id": "last_letter/4/amber-stone-river-cloud", "question": "Take the last letters of ...", "gold": "rerd"}
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.answers import AnswerKind, Text
from fmtbench.tasks.base import OTHER_SEED, Task, distinct, item_rng
from fmtbench.types import Item, Shot

WORDS = tuple(files("fmtbench.tasks").joinpath("words.txt").read_text(encoding="utf-8").split())


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

    def worked(self) -> list[Shot]:
        """Words of another seed."""
        drawn = distinct(replace(self, seed=self.seed + OTHER_SEED)._draws(), 8)
        items = [(_item(words), "; ".join(f"{word} ends in {word[-1]}" for word in words)) for words in drawn]
        return [Shot(question=item.question, reasoning=f"{reasoning}.", answer=item.gold) for item, reasoning in items]


def _item(words: tuple[str, ...]) -> Item:
    return Item(
        id=f"last_letter/{len(words)}/{'-'.join(words)}",
        question=f'Take the last letter of each word in "{" ".join(words)}" and put these letters together in the same order.',
        gold="".join(word[-1] for word in words),
    )
