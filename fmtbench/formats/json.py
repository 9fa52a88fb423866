"""One JSON object with fixed keys in a fixed order: {"reasoning": "...", "answer": 18}.

The reader asks for the structure alone (the keys, their order, text for the rationale, a scalar for the answer): what
the scalar may look like is the answer kind's business, or formats would be judged by different rules. One Markdown
fence around the whole reply is taken off, as JSON clients do; words around the object break the contract.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fmtbench.answers import AnswerKind
from fmtbench.formats.base import Contract, Layout
from fmtbench.formats.fence import unfenced
from fmtbench.types import Extraction, Status


class JsonContract(Contract):
    """A flat JSON object."""

    def ask(self, layout: Layout, kind: AnswerKind) -> str:
        return f"Reply with only {self.form(layout, kind)}"

    def form(self, layout: Layout, kind: AnswerKind) -> str:
        """The object in words, with its schema where that is shown."""
        if not layout.shown:
            return "a JSON object."
        order = ", with the keys in this order" if len(layout.fields) > 1 else ""
        return f"a JSON object of this form{order}: {self._schema(layout, kind)}"

    def _schema(self, layout: Layout, kind: AnswerKind) -> str:
        answer = kind.placeholder() if kind.numeric else f'"{kind.placeholder()}"'
        shown = (f'"{name}": {answer if name == layout.answer else chr(34) + "<text>" + chr(34)}' for name in layout.fields)
        return "{" + ", ".join(shown) + "}"

    def read(self, text: str, layout: Layout, kind: AnswerKind) -> Extraction:
        offset, body = unfenced(text, "json")
        members = parse_object(body)
        if members is None:
            return Extraction(status="invalid_format" if text.strip() else "no_answer")
        spans = {member.key: (member.start + offset, member.end + offset) for member in members}
        reasoning = tuple(spans[stage] for stage in layout.stages if stage in spans)
        if (status := _status(members, layout)) != "ok":
            return Extraction(status=status, reasoning=reasoning)
        answer = next(member for member in members if member.key == layout.answer)
        return Extraction(status="ok", answer=answer.written(body), span=spans[layout.answer], reasoning=reasoning)

    def example(self, layout: Layout, kind: AnswerKind, reasoning: str, answer: str) -> str:
        shown: Any = answer
        if kind.numeric and re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?", answer):
            shown = json.loads(answer)
        return json.dumps({name: shown if name == layout.answer else reasoning for name in layout.fields}, ensure_ascii=False)


@dataclass(frozen=True, kw_only=True)
class Member:
    """One key of an object, its value, and where the value stands."""

    key: str
    value: Any
    start: int
    end: int

    def written(self, body: str) -> str:
        """The value as text; numbers as the model wrote them (`18.0` stays `18.0`)."""
        return self.value if isinstance(self.value, str) else body[self.start : self.end]


def _reject(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


DECODER = json.JSONDecoder(parse_constant=_reject)


def parse_object(text: str) -> list[Member] | None:
    """Members of a text that is one JSON object and nothing else, in order, duplicates kept; None otherwise."""
    try:
        value = DECODER.decode(text)
    except (ValueError, RecursionError):  # RecursionError: a hundred thousand opening brackets
        return None
    return list(_members(text)) if isinstance(value, dict) else None


def _members(text: str) -> Iterator[Member]:
    """Walk a valid object once more, for the places of its values."""
    position = text.index("{")
    while text[position] != "}":
        position = _skip_space(text, position + 1)
        if text[position] == "}":
            return
        key, position = DECODER.raw_decode(text, position)
        start = _skip_space(text, text.index(":", position) + 1)
        value, end = DECODER.raw_decode(text, start)
        yield Member(key=key, value=value, start=start, end=end)
        position = _skip_space(text, end)


def _skip_space(text: str, position: int) -> int:
    while text[position] in " \t\r\n":
        position += 1
    return position


def _status(members: list[Member], layout: Layout) -> Status:
    if tuple(member.key for member in members) != layout.fields:
        return "schema_violation"
    values = {member.key: member.value for member in members}
    answer = values[layout.answer]
    if not all(isinstance(values[stage], str) for stage in layout.stages) or isinstance(answer, (dict, list)):
        return "schema_violation"
    return "no_answer" if answer is None or not str(answer).strip() else "ok"
