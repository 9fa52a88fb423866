"""What a format is: all that the project knows of it, from the words that ask for it to the words that remain without it.

Everything about one format is in one file, because its parts must agree: `read(write(answer))` gives the answer back, for
every answer (a property test). A subclass that lacks a part is an error where it is defined, so none can be forgotten.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

from fmtbench.answers import AnswerKind, Record
from fmtbench.answers.arranging import AS_GIVEN, Arrangement
from fmtbench.decoding.whitespace import Whitespace
from fmtbench.formats.parts import PartName, around, fill
from fmtbench.formats.steps import Rationale
from fmtbench.types import Constraint, Extraction

Order = Literal["reasoning_first", "answer_first", "answer_only"]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The parts of a reply and their order: the same in every format."""

    stages: tuple[str, ...]
    """Names of the rationale's parts; one for plain reasoning, none for `answer_only`."""
    answer: str
    """Name of the answer field."""
    order: Order
    rationale: Rationale = "string"
    """How each stage is laid out."""
    shown: bool = True
    """Whether the prompt shows the names and types of the fields."""
    rendering: str = "form"
    """How it shows those of a JSON object."""
    described: bool = False
    """Whether a rendering of a record's schema has its descriptions."""
    arrangement: Arrangement = AS_GIVEN
    """What is changed in the schema of a record."""
    whitespace: Whitespace = "one_space"
    """Between the tokens of JSON."""
    calls: str | None = None
    """The syntax in which a tool call is written and enforced; None is the one that stands for all of them (formats/calls/)."""

    def arranged(self, kind: AnswerKind) -> AnswerKind:
        """The kind that a condition asks for: a record in the layout's arrangement, any other kind unchanged."""
        return kind.arranged(self.arrangement) if isinstance(kind, Record) else kind

    @property
    def fields(self) -> tuple[str, ...]:
        """All parts in the order in which they are generated."""
        return (self.answer, *self.stages) if self.order == "answer_first" else (*self.stages, self.answer)

    def in_order(self, parts: str) -> str:
        """The demand that several parts (`keys`, `headings`) come in order; empty if there is only one."""
        return f", with the {parts} in this order" if len(self.fields) > 1 else ""


class Field(NamedTuple):
    """A field named like an answer, in a reply that may be cut, broken, or in another format altogether."""

    name: str
    held: str
    """What it holds, without the format's escapes."""
    span: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Syntax:
    """What a format adds to plain words. Readers take it off from the outside in: the tags of all formats, then the lines, ..."""

    answer: re.Pattern[str] | None
    """The answer with its name, which is left out of a rationale."""
    sign: str = ""
    """A character that every such answer has: a text without it is not searched."""
    tags: re.Pattern[str] | None = None
    """Marks that separate words."""
    lines: re.Pattern[str] | None = None
    """Whole lines."""
    heads: re.Pattern[str] | None = None
    """What begins a line or a sentence."""
    inline: re.Pattern[str] | None = None
    """Marks inside a line."""


class Format(ABC):
    """One output format. Defining a subclass registers it in `FORMATS`; `base=True` is for classes that others build on."""

    name: ClassVar[str]
    """What a condition calls it: `asked: json`."""
    precedence: ClassVar[int]
    """Its place among all formats, the strictest first: a reply that fits several is taken to be in the first of them."""
    syntax: ClassVar[Syntax]
    enforceable: ClassVar[bool] = False
    """Whether it has a `grammar`."""

    def __init_subclass__(cls, base: bool = False) -> None:
        if not base:
            _register(cls)

    # -- what a condition asks for

    @abstractmethod
    def ask(self, layout: Layout, kind: AnswerKind) -> str:
        """The sentence in the prompt that demands the format."""

    @abstractmethod
    def write(self, layout: Layout, kind: AnswerKind, reasoning: str, answer: str) -> str:
        """A reply in the format; every stage carries `reasoning`."""

    @abstractmethod
    def read(self, text: str, layout: Layout, kind: AnswerKind) -> Extraction:
        """Locate the answer in a finished text, or say in which way it breaks the contract."""

    def grammar(self, layout: Layout, kind: AnswerKind, fields: Constraint) -> Constraint:
        """What a decoder allows if this format is enforced. `fields`: the schema of its fields as one JSON object.

        Raises `UnaskableError` for fields that the format's grammar cannot express.
        """
        raise NotImplementedError(f"{self.name} is not enforceable")

    def divide(self, text: str, layout: Layout, kind: AnswerKind) -> list[PartName]:
        """The part of each character of a reply, cut or not: here, by what `read` locates."""
        parts, found = around(text), self.read(text, layout, kind)
        fill(parts, found.reasoning, "reasoning")
        fill(parts, [found.span] if found.span else [], "answer")
        return parts

    # -- a rationale that is cut and goes on (formats of one stage; see conditions/begun.py)

    def begin(self, layout: Layout, rationale: str) -> str | None:
        """A reply up to here: what the format writes before its rationale, and a beginning of that. None if it has no way."""
        return None

    def rationale(self, text: str, layout: Layout, kind: AnswerKind) -> str | None:
        """What a finished reply says before its answer, as plain text; empty where it says nothing, or is not of this format.
        None where the answer comes first."""
        return ""

    # -- how any reply is read, whatever was asked for

    @abstractmethod
    def find(self, text: str) -> Iterable[Field]:
        """The fields in this format that are named like an answer, for the lenient reader, which asks every format."""

    def unpack(self, text: str, answers: bool) -> str | None:
        """A reply that quotes its words (JSON's strings) without quotes, escapes and keys, with or without its answer;
        None for any other. As long as the text: what is taken off becomes blank (formats/blanks.py), so that no word moves."""
        return None


FORMATS: dict[str, Format] = {}
"""Every format by its name, in the order of precedence."""


def _register(written: type[Format]) -> None:
    lacking = _lacking(written)
    if lacking:
        raise TypeError(f"the format {written.__qualname__} lacks {', '.join(lacking)}: its file must say all about it")
    known = FORMATS.get(written.name)
    if known and type(known).__module__ != written.__module__:
        raise TypeError(f"the format name {written.name!r} of {written.__module__} belongs to {type(known).__module__}")
    FORMATS[written.name] = written()
    for name, one in sorted(FORMATS.items(), key=lambda item: (item[1].precedence, item[0])):
        FORMATS[name] = FORMATS.pop(name, one)


def _lacking(written: type[Format]) -> list[str]:
    """Abstract methods without a body, and declared attributes without a value."""
    methods = [name for name in dir(written) if getattr(getattr(written, name, None), "__isabstractmethod__", False)]
    declared = [name for base in written.__mro__ for name in vars(base).get("__annotations__", {})]
    return methods + [name for name in declared if not hasattr(written, name)]
