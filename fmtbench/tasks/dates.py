"""A date so many days before or after another, after "date understanding" of BIG-bench (Srivastava et al. 2022), with fresh dates
for every seed.

{"id": "dates/9/2019-03-05+4", "question": "Today is 5 March 2019. What is the date 4 days from today?", "gold": "2019-03-09"}
"""

from __future__ import annotations

import datetime
import itertools
import random
from collections.abc import Iterator

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.answers import AnswerKind, Date
from fmtbench.tasks.base import Task, distinct, item_rng
from fmtbench.tasks.facts import MONTHS
from fmtbench.types import Item

FIRST = datetime.date(1990, 1, 1)
SPAN = 40 * 365
"""Days within which today lies."""

Step = tuple[datetime.date, int]
"""Today, and how many days from it: never 0."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Dates(Task):
    """Days ahead or ago, at most `days`: the more of them, the more months and years end in between."""

    seed: int
    days: int = Field(default=9, ge=1, le=400)
    size: int = Field(default=200, gt=0)

    def items(self) -> list[Item]:
        return [_item(today, ahead, self.days) for today, ahead in distinct(self._draws(), self.size)]

    def _draws(self) -> Iterator[Step]:
        for index in itertools.count():
            yield _step(item_rng(self.seed, "dates", self.days, index), self.days)

    def kind(self, item: Item) -> AnswerKind:
        return Date()


def _step(rng: random.Random, days: int) -> Step:
    return FIRST + datetime.timedelta(days=rng.randrange(SPAN)), rng.choice((-1, 1)) * rng.randint(1, days)


def _item(today: datetime.date, ahead: int, days: int) -> Item:
    count = "1 day" if abs(ahead) == 1 else f"{abs(ahead)} days"
    asked = f"What is the date {count} from today?" if ahead > 0 else f"What was the date {count} ago?"
    return Item(
        id=f"dates/{days}/{today}{ahead:+d}",
        question=f"Today is {today.day} {MONTHS[today.month - 1]} {today.year}. {asked}",
        gold=str(today + datetime.timedelta(days=ahead)),
    )
