"""A format whose replies are named parts in a fixed order: JSON, YAML, XML, Markdown.

Reading is the same for all of them, and no subclass overrides it: the parts must be the layout's in its order, and the
answer's part must hold a scalar. What the scalar looks like is the answer kind's business, or formats would be judged by
different rules. One Markdown fence around the whole reply is taken off, as clients do; words around it break the contract.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, final

from fmtbench.answers import AnswerKind, Record
from fmtbench.errors import UnaskableError
from fmtbench.formats.base import Format, Layout
from fmtbench.formats.parts import PartName, around, fill, stripped
from fmtbench.formats.records import judged
from fmtbench.types import Extraction, Status

FENCE_START = re.compile(r"\ufeff?\s*(?:`{3,9}|~{3,9})")
FENCE_END = re.compile(r"\n[ \t]*(?:`{1,9}|~{1,9})\s*\Z")
OPENING = re.compile(r"\s*+(`{3,9}|~{3,9})[ \t]*+([A-Za-z_]*)[ \t]*\n")
"""The line that begins a Markdown fence, after white space. Its language may stand after a space (CommonMark 0.31, 4.5)."""


class Part(NamedTuple):
    """One key, element or section, and what it holds."""

    name: str
    written: str | None
    """As the model wrote it; None if it is not a scalar, empty if there is nothing."""
    span: tuple[int, int]
    prose: bool = True
    """Whether it may hold a rationale as one text."""
    listed: bool = False
    """Whether it may hold a rationale as a list of texts."""


class StructuredFormat(Format, base=True):
    """Subclasses give `form`, `write` and `parse`."""

    languages: ClassVar[tuple[str, ...]]
    """What a Markdown fence around a reply calls the format."""
    like_prose: ClassVar[bool] = False
    """Whether labelled prose ("Answer: 18") looks like it."""

    def __init_subclass__(cls, base: bool = False) -> None:
        changed = [name for name in ("ask", "read", "parts") if name in vars(cls)]
        if changed:
            raise TypeError(f"{cls.__qualname__} overrides {', '.join(changed)}, the same for every structured format")
        super().__init_subclass__(base=base)

    @abstractmethod
    def form(self, layout: Layout, kind: AnswerKind) -> str:
        """The format in words, with its fields: completes "Reply with only ..."."""

    @abstractmethod
    def parse(self, body: str, fields: Sequence[str] | None) -> list[Part] | None:
        """The parts of a whole reply, in order; None if it is anything else. `fields` are the expected names; None allows any."""

    def opening(self, name: str) -> str:
        """A pattern, for whole lines (`re.M`), of what begins a field, its name in a group `key`; empty where only `read` knows.
        By it a reply is divided that was cut, and which `parse` therefore knows nothing of."""
        return ""

    def divide(self, text: str, layout: Layout, kind: AnswerKind) -> list[PartName]:
        """By the openings of the fields, in whatever order they come; what stands before the first is scaffold."""
        marks = sorted(
            ((found, name) for name in layout.fields if (mark := self.opening(name)) for found in re.finditer(mark, text, re.M)),
            key=lambda pair: pair[0].start(),
        )
        if not marks:
            return super().divide(text, layout, kind)
        parts, closing = around(text), FENCE_END.search(text) if FENCE_START.match(text) else None
        stops = [*(found.start() for found, _ in marks[1:]), closing.start() if closing else len(text)]
        for (found, name), stop in zip(marks, stops):
            fill(parts, [found.span("key")], "key")
            closed = self.closing(name)
            end = re.compile(closed).search(text, found.end(), stop) if closed else None
            held = stripped(text, found.end(), end.start() if end else stop)
            fill(parts, [held], "answer" if name == layout.answer else "reasoning")
        return parts

    def closing(self, name: str) -> str:
        """A pattern of what ends a field, or of as much of it as a cut has left; empty where the next opening does."""
        return ""

    def dump(self, tree: Mapping[str, Any]) -> str:
        """A record's tree (formats/records.py) in this format. Raises `UnaskableError` where the format holds none."""
        raise UnaskableError(f"asked={self.name} holds no records: its file has no dump and load; leave out such conditions")

    def load(self, body: str, layout: Layout, kind: Record) -> dict[str, Any] | None:
        """The tree of a whole reply; None where it is anything else. What occurs twice is a list of both."""
        return None

    @final
    def ask(self, layout: Layout, kind: AnswerKind) -> str:
        return f"Reply with only {self.form(layout, kind)}"

    @final
    def read(self, text: str, layout: Layout, kind: AnswerKind) -> Extraction:
        parts = self.parts(text, None if isinstance(kind, Record) else layout.fields)
        if parts is None:
            return Extraction(status="no_mark" if text.strip() else "no_answer")
        found = {part.name: part for part in parts}
        reasoning = tuple(found[stage].span for stage in layout.stages if stage in found)
        if isinstance(kind, Record):
            return self._record(text, layout, kind, reasoning)
        status = _judged(parts, layout)
        if status != "ok":
            return Extraction(status=status, reasoning=reasoning)
        answer = found[layout.answer]
        return Extraction(status="ok", answer=answer.written, span=answer.span, reasoning=reasoning)

    def _record(self, text: str, layout: Layout, kind: Record, reasoning: tuple[tuple[int, int], ...]) -> Extraction:
        offset, body = unfenced(text, self.languages)
        nothing = Extraction(status="no_mark" if text.strip() else "no_answer", reasoning=reasoning)
        return judged(self.load(body, layout, kind), layout, kind, nothing, (offset, offset + len(body.rstrip())))

    @final
    def parts(self, text: str, fields: Sequence[str] | None) -> list[Part] | None:
        """The parts of a reply, with or without a fence; their spans are places in `text`."""
        offset, body = unfenced(text, self.languages)
        parts = self.parse(body, fields)
        if parts is None:
            return None
        return [part._replace(span=(part.span[0] + offset, part.span[1] + offset)) for part in parts]


def _judged(parts: Sequence[Part], layout: Layout) -> Status:
    found = {part.name: part for part in parts}
    if tuple(part.name for part in parts) != layout.fields:
        return "schema_violation"
    if not all(found[stage].listed if layout.rationale == "list" else found[stage].prose for stage in layout.stages):
        return "schema_violation"
    written = found[layout.answer].written
    if written is None:
        return "schema_violation"
    return "ok" if written.strip() else "no_answer"


def unfenced(text: str, languages: Sequence[str] | None) -> tuple[int, str]:
    """The text inside a fence around all of it that names one of these languages or none, and where that begins. None: any.

    The text itself, without a byte order mark, where there is no such fence.
    """
    mark = 1 if text.startswith("\ufeff") else 0
    opening, end = OPENING.match(text, mark), len(text.rstrip())
    if opening is None or not text.endswith(opening[1], opening.end(), end):
        return mark, text[mark:]
    if languages is not None and opening[2].lower() not in ("", *languages):
        return mark, text[mark:]
    held = text[opening.end() : end - len(opening[1])]
    return opening.end(), held.rstrip(" \t").removesuffix("\n")
