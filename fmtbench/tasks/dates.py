"""A date some days before or after another, modelled on "date understanding" of BIG-bench (Srivastava et al. 2022), with fresh
dates for every seed.

{"id": "dates/9/2019-03-05+4", "question": "Today is 5 March 2019. What is the date 4 days from today?", "gold": "2019-03-09"}
"""

from __future__ import annotations

import datetime
import random

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.answers import AnswerKind, Date
from fmtbench.tasks.facts import MONTHS
from fmtbench.tasks.generated import GeneratedTask
from fmtbench.types import Item

FIRST = datetime.date(1990, 1, 1)
SPAN = 40 * 365
"""The number of days within which today lies."""

Step = tuple[datetime.date, int]
"""Today, and the distance in days, which is never 0."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Dates(GeneratedTask[Step]):
    """At most `days` ahead or ago: the more days, the more ends of months and years lie between."""

    days: int = Field(default=9, ge=1, le=400)

    @property
    def stream(self) -> tuple[str | int, ...]:
        return "dates", self.days

    def draw(self, rng: random.Random) -> Step:
        return FIRST + datetime.timedelta(days=rng.randrange(SPAN)), rng.choice((-1, 1)) * rng.randint(1, self.days)

    def item(self, drawn: Step, index: int) -> Item:
        today, ahead = drawn
        count = "1 day" if abs(ahead) == 1 else f"{abs(ahead)} days"
        asked = f"What is the date {count} from today?" if ahead > 0 else f"What was the date {count} ago?"
        return Item(
            id=f"dates/{self.days}/{today}{ahead:+d}",
            question=f"Today is {today.day} {MONTHS[today.month - 1]} {today.year}. {asked}",
            gold=str(today + datetime.timedelta(days=ahead)),
        )

    def kind(self, item: Item) -> AnswerKind:
        return Date()
