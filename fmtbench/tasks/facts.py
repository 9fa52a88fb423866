"""Short texts whose facts fill a schema: fresh records for every seed, no download. What the texts are about is in their YAML.

{"id": "invoices/1f0c...", "question": "Halden Paper sent invoice HP-204. ... Fill in the record of this invoice.",
 "gold": "{\"vendor\": \"Halden Paper\", \"number\": \"HP-204\", ...}"}

Texts are in English or Korean (`language`). The sentences are in the YAML as well; only dates and lists are made here.

Each field is drawn on its own and told in one sentence; the sentences come in any order. A field with a `share` below 1 is
missing from the other texts, and its gold is null: whatever a model says there is made up.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import random
from functools import cached_property
from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from fmtbench.answers import AnswerKind, Record
from fmtbench.errors import UserError
from fmtbench.tasks.generated import GeneratedTask
from fmtbench.types import Item, Shot

SHOTS = 5
Language = Literal["en", "ko"]
DATES: dict[Language, tuple[str, ...]] = {
    "en": ("{day.day} {month} {day.year}", "{month} {day.day}, {day.year}", "{day:%Y-%m-%d}"),
    "ko": ("{day.year}년 {day.month}월 {day.day}일", "{day.year}.{day.month}.{day.day}", "{day:%Y-%m-%d}"),
}
LAST: dict[Language, str] = {"en": " and ", "ko": ", "}
"""What comes before the last element of a list."""
TOLD: dict[Language, tuple[str, str]] = {
    "en": ("The text tells the {}.", "It does not tell the {}."),
    "ko": ("글에 나온 항목: {}.", "나오지 않은 항목: {}."),
}
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Fact:
    """How one field is drawn and told: one of `values`, a number from `low` to `high`, a day in `years`, or a code by `form`."""

    sentences: tuple[str, ...]
    """Each with `{}` for the value; for a truth value, the first is told if it is true and the second if it is not."""
    values: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    places: int = 0
    years: tuple[int, int] | None = None
    form: str | None = None
    """`AA-000`: a capital letter for each A, a digit for each 0."""
    truth: bool = False
    most: int | None = Field(default=None, ge=1)
    """The most elements a list has."""
    share: float = Field(default=1.0, gt=0, le=1)
    """The share of texts that tell it."""

    @model_validator(mode="after")
    def _one_way(self) -> Fact:
        ways = [bool(self.values), self.low is not None, self.years is not None, self.form is not None, self.truth]
        if sum(ways) != 1 or (self.truth and len(self.sentences) != 2):
            raise ValueError("give one of values, low and high, years, form, or truth with two sentences")
        return self

    def draw(self, rng: random.Random, language: Language) -> tuple[Any, str]:
        """A value as JSON has it, and the sentence that tells it."""
        if self.truth:
            value = rng.random() < 0.5
            return value, self.sentences[0 if value else 1]
        value, told = self._value(rng, language)
        return value, rng.choice(self.sentences).replace("{}", told)

    def _value(self, rng: random.Random, language: Language) -> tuple[Any, str]:
        if self.most is not None:
            several = rng.sample(self.values, rng.randint(1, self.most))
            return several, listed(several, language)
        if self.values:
            one = rng.choice(self.values)
            return one, one
        if self.years is not None:
            day = datetime.date(rng.randint(*self.years), 1, 1) + datetime.timedelta(days=rng.randrange(365))
            return day.isoformat(), rng.choice(DATES[language]).format(day=day, month=MONTHS[day.month - 1])
        if self.form is not None:
            code = "".join(
                rng.choice("ABCDEFGHKLMNPRST") if c == "A" else rng.choice("0123456789") if c == "0" else c for c in self.form
            )
            return code, code
        number = round(rng.uniform(self.low or 0, self.high or 0), self.places)
        return (int(number) if not self.places else number), f"{number:,.{self.places}f}"


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Facts(GeneratedTask[Item]):
    """A family of texts and its schema."""

    name: str
    ask: str
    """Words that follow the text."""
    schema: dict[str, Any]
    facts: dict[str, Fact]
    """By the name of their field at the top level of the schema."""
    language: Language = "en"
    size: int = Field(default=100, gt=0)

    @cached_property
    def record(self) -> Record:
        kind = Record(source=json.dumps(self.schema, ensure_ascii=False))
        if set(self.facts) != set(kind.tree.members):
            raise UserError(
                f"task {self.name}: facts are told of {sorted(self.facts)}, the schema has {sorted(kind.tree.members)}"
            )
        return kind

    @property
    def stream(self) -> tuple[str | int, ...]:
        return (self.name,)

    def draw(self, rng: random.Random) -> Item:
        gold: dict[str, Any] = {}
        told = []
        for name in self.record.tree.members:
            value, sentence = self.facts[name].draw(rng, self.language)
            there = rng.random() < self.facts[name].share
            gold[name] = value if there else None
            told += [sentence] if there else []
        rng.shuffle(told)
        question = f"{' '.join(told)}\n\n{self.ask}"
        digest = hashlib.sha256(question.encode()).hexdigest()[:12]
        return Item(id=f"{self.name}/{digest}", question=question, gold=json.dumps(gold, ensure_ascii=False))

    def item(self, drawn: Item, index: int) -> Item:
        return drawn

    def kind(self, item: Item) -> AnswerKind:
        return self.record

    def worked(self) -> list[Shot]:
        """Texts of another seed; the rationale names what each sentence tells."""
        return [
            Shot(question=one.question, reasoning=_reasoning(json.loads(one.gold), self.language), answer=one.gold)
            for one in self.other_draws(SHOTS)
        ]


def listed(several: list[str], language: Language) -> str:
    return LAST[language].join(filter(None, [", ".join(several[:-1]), several[-1]]))


def _reasoning(gold: dict[str, Any], language: Language) -> str:
    there = [name.replace("_", " ") for name, value in gold.items() if value is not None]
    missing = [name.replace("_", " ") for name, value in gold.items() if value is None]
    lines = zip(TOLD[language], (there, missing))
    return " ".join(line.format(listed(names, language)) for line, names in lines if names)
