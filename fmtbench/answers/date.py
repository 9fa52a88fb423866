"""Calendar dates as answers: `2024-03-12`, `12 March 2024` and `March 12, 2024` are the same day."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from typing import Any

from pydantic.dataclasses import dataclass

import fmtbench.answers.spelling as spelling
from fmtbench.answers.base import STRICT, AnswerKind

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
NAME = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
FORMS = (
    re.compile(r"(?<!\d)(?P<year>\d{4})(?P<sign>[-/.])(?P<month>\d{1,2})(?P=sign)(?P<day>\d{1,2})(?!\d)"),
    re.compile(
        rf"(?<!\d)(?P<day>\d{{1,2}})(?:st|nd|rd|th)?[ .]{{1,2}}(?:of )?(?P<name>{NAME})\b\.?,? (?P<year>\d{{4}})(?!\d)", re.I
    ),
    re.compile(rf"\b(?P<name>{NAME})\b\.? (?P<day>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<year>\d{{4}})(?!\d)", re.I),
    re.compile(r"(?P<year>\d{4})년 ?(?P<month>\d{1,2})월 ?(?P<day>\d{1,2})일"),
)
EITHER = re.compile(r"(?<!\d)(?P<first>\d{1,2})(?P<sign>[-/.])(?P<second>\d{1,2})(?P=sign)(?P<year>\d{4})(?!\d)")
LONGEST = 200


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Date(AnswerKind):
    """A day of the Gregorian calendar. `03/04/2024` may be in March or in April and is not a date; `13/04/2024` is one."""

    def hint(self) -> str:
        return "Answer with a date as YYYY-MM-DD."

    def annotation(self) -> Any:
        return datetime.date

    def placeholder(self) -> str:
        return "<YYYY-MM-DD>"

    def canon(self, answer: str) -> str | None:
        """ISO 8601; None if the text names no day, or two."""
        if len(answer) > LONGEST:
            return None
        days = {day for _, day in _days(spelling.plain(answer))}
        return days.pop() if len(days) == 1 else None

    def mentions(self, text: str) -> Iterator[tuple[int, int]]:
        for place, _ in sorted(_days(text)):
            yield place


def _days(text: str) -> Iterator[tuple[tuple[int, int], str]]:
    """Places of dates, each with its day in ISO 8601."""
    for form in FORMS:
        for match in form.finditer(text):
            parts = match.groupdict()
            month = MONTHS.index(parts["name"][:3].lower()) + 1 if parts.get("name") else int(parts["month"])
            if day := _iso(int(parts["year"]), month, int(parts["day"])):
                yield match.span(), day
    for match in EITHER.finditer(text):
        first, second = int(match["first"]), int(match["second"])
        if first == second or max(first, second) > 12:
            month, day_ = sorted((first, second))
            if day := _iso(int(match["year"]), month, day_):
                yield match.span(), day


def _iso(year: int, month: int, day: int) -> str | None:
    try:
        return datetime.date(year, month, day).isoformat()
    except ValueError:
        return None
