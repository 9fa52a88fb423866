"""Last-letter concatenation (Wei et al. 2022, chain-of-thought prompting), with fresh words for every seed.

{"id": "last_letter/4/amber-stone-river-cloud", "question": "Take the last letters of ...", "gold": "rerd"}
"""

from __future__ import annotations

import random
from importlib.resources import files

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.answers import AnswerKind, Text
from fmtbench.tasks.generated import GeneratedTask
from fmtbench.types import Item, Shot

WORDS = tuple(files("fmtbench.tasks").joinpath("words.txt").read_text(encoding="utf-8").split())


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class LastLetter(GeneratedTask[tuple[str, ...]]):
    """The last letters of `words` different words, put together."""

    words: int = Field(default=4, ge=2, le=8)

    @property
    def stream(self) -> tuple[str | int, ...]:
        return "last_letter", self.words

    def draw(self, rng: random.Random) -> tuple[str, ...]:
        return tuple(rng.sample(WORDS, self.words))

    def item(self, drawn: tuple[str, ...], index: int) -> Item:
        return _item(drawn)

    def kind(self, item: Item) -> AnswerKind:
        return Text(what="a string of letters")

    def worked(self) -> list[Shot]:
        """Words of another seed."""
        items = [(_item(words), "; ".join(f"{word} ends in {word[-1]}" for word in words)) for words in self.other_draws()]
        return [Shot(question=item.question, reasoning=f"{reasoning}.", answer=item.gold) for item, reasoning in items]


def _item(words: tuple[str, ...]) -> Item:
    return Item(
        id=f"last_letter/{len(words)}/{'-'.join(words)}",
        question=f'Take the last letter of each word in "{" ".join(words)}" and put these letters together in the same order.',
        gold="".join(word[-1] for word in words),
    )
