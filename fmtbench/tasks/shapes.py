"""One question under schemas of every shape: the texts and the right answer stay, and the schema around them is the treatment.

{"id": "schema_shape/1f0c...", "question": "It is red. ... It was first kept in Cork and was then moved to Lisbon. ...",
 "gold": "{\"colour\": \"red\", ..., \"place\": \"Lisbon\", ...}"}

An item has the same id, text and right answer under each shape, so its replies pair across doses. The answer's field stands in
the middle of the others, whose values the text tells as well. What the texts are about is in YAML (`conf/dose/base.yaml`).
"""

from __future__ import annotations

import hashlib
import json
import random
from functools import cached_property
from typing import Any, NamedTuple

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from fmtbench.answers import AnswerKind, Record
from fmtbench.tasks.facts import Fact, listed
from fmtbench.tasks.generated import GeneratedTask
from fmtbench.types import Item

NAME = "schema_shape"
STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Notes:
    """What all texts are made from."""

    ask: str
    """Words that follow the text."""
    answer: str
    """The field that is asked for at every dose."""
    values: tuple[str, ...]
    """Possible answers; a text mentions two of them, and the later one is right."""
    others: tuple[str, ...]
    """Further labels of an enum, which no text mentions."""
    sentence: str
    """The sentence with the answer, with `{old}` and `{new}`."""
    element: str
    """What a list holds: `first_item` is one of them, `first_4_items` a list."""
    elements: tuple[str, ...]
    many: int
    """Elements that each text lists."""
    listing: str
    """The sentence with the elements, with `{}`."""
    around: tuple[str, ...]
    """Names of the objects around the answer, the outermost first."""
    description: str
    """Describes a field, with `{}` for its name; it is still a sentence when cut after any number of words."""
    facts: dict[str, Fact]
    """The other fields, in the order in which they join."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SchemaShape:
    """What a schema looks like. Each field is an axis of doses; its default is the level at which the other axes vary."""

    fields: int = Field(default=8, ge=1)
    """The number of fields, the answer's included."""
    depth: int = Field(default=0, ge=0)
    """The number of objects around the answer's field."""
    enum_size: int = Field(default=0, ge=0)
    """The number of labels that the answer is one of; 0 allows any text."""
    enum_place: int = Field(default=0, ge=0)
    """Place of the right label in the enum; 0 shuffles the labels, in one order for all items."""
    optional: float = Field(default=0, ge=0, le=1)
    """The share of fields that may be left out. The answer's own is among them in the same share of items."""
    description_words: int = Field(default=0, ge=0)
    """The number of words that describe each field."""
    max_length: int = Field(default=0, ge=0)
    """The most characters that the answer may have; 0 sets no limit."""
    list_length: int = Field(default=0, ge=0)
    """The number of elements that one of the other fields lists; 0 makes it a single value."""


BASE: dict[str, Any] = {name: axis.default for name, axis in SchemaShape.__pydantic_fields__.items()}  # type: ignore[attr-defined]
"""The level of each axis that a task does not name."""


class Schema(NamedTuple):
    """The parts of a shape's schema that depend on the item."""

    label: str
    """The right answer, whose place in an enum is set."""
    start: int
    """The first of the fields that may be left out."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Shaped(SchemaShape, GeneratedTask[Item]):
    """Texts and a shape. Raises `ValueError` for a shape that needs more than the notes have."""

    notes: Notes
    size: int = Field(default=100, gt=0)

    @model_validator(mode="after")
    def _has_enough(self) -> Shaped:
        notes, labels = self.notes, len(self.notes.values) + len(self.notes.others)
        bounds = {
            "fields": (1, len(notes.facts) + 2),
            "depth": (0, len(notes.around)),
            "enum_place": (0, self.enum_size),
            "description_words": (0, len(notes.description.split())),
            "list_length": (0, notes.many if self.fields > 1 else 0),
        }
        for name, (least, most) in bounds.items():
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name}={getattr(self, name)}: give a number from {least} to {most}")
        if self.enum_size and not len(notes.values) <= self.enum_size <= labels:
            raise ValueError(f"enum_size={self.enum_size}: give 0, or a number from {len(notes.values)} to {labels}")
        if self.enum_size and self.max_length:
            raise ValueError(f"max_length={self.max_length} contradicts enum_size={self.enum_size}: labels have their lengths")
        return self

    def kind(self, item: Item) -> AnswerKind:
        gold = json.loads(item.gold)
        for name in self.notes.around[: self.depth]:
            gold = gold[name]
        number = int(item.id.rpartition("/")[2], 16)
        return Record(source=json.dumps(self.schema(Schema(gold[self.notes.answer], number % self.fields)), ensure_ascii=False))

    def schema(self, of: Schema) -> dict[str, Any]:
        """The whole schema for items of this kind."""
        names = list(self.order)
        free = {names[(of.start + step) % len(names)] for step in range(round(self.optional * len(names)))}
        properties = {name: self._fragment(name, of.label) for name in names}
        return _object(
            {self._outer(name): self._nested(name, held) for name, held in properties.items()},
            [self._outer(name) for name in names if name not in free],
        )

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The fields' names, the answer's in the middle."""
        others = [self._list_name, *self.notes.facts][: self.fields - 1]
        middle = self.fields // 2
        return (*others[:middle], self.notes.answer, *others[middle:])

    # -- texts

    @property
    def stream(self) -> tuple[str | int, ...]:
        return (NAME,)

    def draw(self, rng: random.Random) -> Item:
        """Everything is drawn and told whatever the shape, so that the text does not depend on the shape."""
        notes = self.notes
        old, new = rng.sample(notes.values, 2)
        elements = rng.sample(notes.elements, notes.many)
        drawn = {name: fact.draw(rng, "en") for name, fact in notes.facts.items()}
        told = [notes.sentence.format(old=old, new=new), notes.listing.format(listed(elements, "en"))]
        told += [sentence for _, sentence in drawn.values()]
        rng.shuffle(told)
        question = f"{' '.join(told)}\n\n{notes.ask}"
        held = {name: value for name, (value, _) in drawn.items()} | {notes.answer: new}
        held[self._list_name] = elements[: self.list_length] if self.list_length else elements[0]
        gold = {self._outer(name): self._nested_value(name, held[name]) for name in self.order}
        digest = hashlib.sha256(question.encode()).hexdigest()[:12]
        return Item(id=f"{NAME}/{digest}", question=question, gold=json.dumps(gold, ensure_ascii=False))

    def item(self, drawn: Item, index: int) -> Item:
        return drawn

    # -- fields

    @property
    def _list_name(self) -> str:
        return f"first_{self.list_length}_{self.notes.element}s" if self.list_length else f"first_{self.notes.element}"

    def _outer(self, name: str) -> str:
        """The name under which a field stands at the top level."""
        return self.notes.around[0] if name == self.notes.answer and self.depth else name

    def _inside(self, name: str) -> tuple[str, ...]:
        """The keys below that, from the innermost out."""
        return (name, *self.notes.around[1 : self.depth][::-1]) if name == self.notes.answer and self.depth else ()

    def _nested(self, name: str, fragment: dict[str, Any]) -> dict[str, Any]:
        for inner in self._inside(name):
            fragment = _object({inner: fragment}, [inner])
        return fragment

    def _nested_value(self, name: str, value: Any) -> Any:
        for inner in self._inside(name):
            value = {inner: value}
        return value

    def _fragment(self, name: str, label: str) -> dict[str, Any]:
        words = self.notes.description.format(name).split()[: self.description_words]
        return self._type(name, label) | ({"description": " ".join(words)} if words else {})

    def _type(self, name: str, label: str) -> dict[str, Any]:
        if name == self.notes.answer:
            return self._answer(label)
        if name != self._list_name:
            return _type_of(self.notes.facts[name])
        several = {"minItems": self.list_length, "maxItems": self.list_length}
        return {"type": "array", "items": {"type": "string"}, **several} if self.list_length else {"type": "string"}

    def _answer(self, label: str) -> dict[str, Any]:
        if self.enum_size:
            return {"enum": self._labels(label)}
        return {"type": "string"} | ({"maxLength": self.max_length} if self.max_length else {})

    def _labels(self, label: str) -> list[str]:
        notes = self.notes
        drawn = [*notes.values, *notes.others[: self.enum_size - len(notes.values)]]
        shuffled = sorted(drawn, key=lambda one: hashlib.sha256(one.encode()).digest())
        if not self.enum_place:
            return shuffled
        shuffled.remove(label)
        return [*shuffled[: self.enum_place - 1], label, *shuffled[self.enum_place - 1 :]]


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required}


def _type_of(fact: Fact) -> dict[str, Any]:
    if fact.truth:
        return {"type": "boolean"}
    if fact.low is not None:
        return {"type": "number" if fact.places else "integer"}
    return {"type": "string"} | ({"format": "date"} if fact.years else {})
