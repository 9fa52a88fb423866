"""Capitals of countries: recall of knowledge, of which even the smallest models have some.

{"id": "capitals/germany", "question": "What is the capital of Germany?", "gold": "Berlin"}
"""

from __future__ import annotations

import csv
from importlib.resources import files

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from fmtbench.answers import AnswerKind, Text
from fmtbench.tasks.base import Task, item_rng
from fmtbench.types import Item


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Capitals(Task):
    """All countries of `capitals.csv`, in an order drawn by `seed`."""

    seed: int

    def items(self) -> list[Item]:
        with files("fmtbench.tasks").joinpath("capitals.csv").open(encoding="utf-8") as lines:
            items = [_item(row) for row in csv.DictReader(lines)]
        item_rng(self.seed, "capitals").shuffle(items)
        return items

    def kind(self, item: Item) -> AnswerKind:
        return Text(what="the name of a city", aliases=item.aliases)


def _item(row: dict[str, str]) -> Item:
    return Item(
        id="capitals/" + row["country"].removeprefix("the ").lower().replace(" ", "-"),
        question=f"What is the capital of {row['country']}?",
        gold=row["capital"],
        aliases=tuple(filter(None, row["aliases"].split("|"))),
    )
