"""One JSON object with fixed keys in a fixed order: {"reasoning": "...", "answer": 18}"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fmtbench.answers import AnswerKind, Record
from fmtbench.decoding.whitespace import respaced
from fmtbench.formats.base import Field, Layout, Syntax
from fmtbench.formats.blanks import blank, removed, undone
from fmtbench.formats.json_parts import divide_object
from fmtbench.formats.names import NAMES, NOTHING
from fmtbench.formats.parts import PartName
from fmtbench.formats.records import Bare, filled, merged, shape
from fmtbench.formats.rendering import rendered
from fmtbench.formats.statements import heads_rationale, some
from fmtbench.formats.steps import is_list, laid_out, placeholder
from fmtbench.formats.structured import Part, StructuredFormat
from fmtbench.types import Constraint

FIELD = re.compile(
    rf'(?:(["\'])({NAMES})\1|(?<=[{{,])\s{{0,9}}({NAMES}))\s{{0,9}}:\s*+'
    r'(?:"(?P<text>(?:[^"\\]|\\.)*+)"?(?!\s*:)|\[(?P<list>[^\[\]]*+)\]?|(?P<object>\{[^{}]*+\}?)'
    r"|(?P<number>[-$]?\d{1,3}(?:,\d{3})+(?:\.\d+)?)(?!\d)|(?P<bare>[^\s,}\]\"\[{][^,}\]\n]*+)|(?=[,}\]]|$))",
    re.I,
)
LEAF = re.compile(r':\s*+(?:"((?:[^"\\]|\\.)*+)"?|([^\s,{}\[\]"]+))')
SCHEMA = re.compile(r'"(?:type|\$schema|properties)"\s*:')
VERDICTS = re.compile(r'\{(?:\s*+"[A-Z]"\s*+:\s*+(?:true|false)\s*+,?)++\}')
KEY = re.compile(r'"[^"\\\n]{1,60}"\s{0,9}:')
QUOTED = re.compile(r'\s{0,99}(?:"|[\w-]{1,40}"\s{0,9}:)')
HELD = (
    r'"(?:[^"\\]|\\.)*+"?|\[[^\[\]]*+\]?|\{[^{}]*+\}?'
    r"|[-$]?\d{1,3}(?:,\d{3})++(?:\.\d++)?(?!\d)|[^,}\]\"\n]*+"
)
MARKS = re.compile(
    r"(?!\s)(?:(?P<escape>\\(?:u[\da-f]{4}|.))"
    rf'|(?P<answer>(?<![\w\\])(?:"(?:{NAMES})"?|(?:{NAMES})")\s{{0,9}}:\s{{0,9}}(?P<held>{HELD})\s{{0,9}}[,}}\]]{{0,9}})'
    r'|(?P<key>(?:"[^"\\\n]{1,60}"|(?:(?<=[{,])|(?<=[{,]\s))"[\w-]{1,40}|(?<=[{, ])[\w-]{1,40}")\s{0,9}:(?:\s{0,9}null\b)?)'
    r'|(?P<unfinished>(?:"\s{0,9},|\{)\s{0,99}"\w{0,40}\Z)'
    r'|(?P<quote>"(?:\s{0,9}[,}\]]{1,9})?)'
    r'|(?P<bracket>[{\[](?=\s{0,99}["{\[])|(?<!\S)[{}\[\],]{1,9}[ \t]{0,9}$))',
    re.I | re.M | re.S,
)
"""The syntax of an object. Each mark is recognised by what stands beside it, so that damage to one does not affect others."""
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")


class JsonFormat(StructuredFormat):
    """A flat JSON object."""

    name = "json"
    precedence = 10
    languages = ("json",)
    enforceable = True
    syntax = Syntax(answer=None)  # `unpack` leaves it out

    def form(self, layout: Layout, kind: AnswerKind) -> str:
        if not layout.shown:
            return "a JSON object."
        if layout.rendering != "form":
            return rendered(layout, kind)
        return f"a JSON object of this form{layout.in_order('keys')}: {respaced(self.shown(layout, kind), layout.whitespace)}"

    def shown(self, layout: Layout, kind: AnswerKind) -> str:
        """The object with a placeholder for each value."""
        if isinstance(kind, Record):
            return self.dump(shape(layout, kind))
        answer = kind.placeholder() if kind.numeric else f'"{kind.placeholder()}"'
        rationale = json.dumps(placeholder(layout.rationale))
        return "{" + ", ".join(f'"{name}": {answer if name == layout.answer else rationale}' for name in layout.fields) + "}"

    def write(self, layout: Layout, kind: AnswerKind, reasoning: str, answer: str) -> str:
        return respaced(self._written(layout, kind, reasoning, answer), layout.whitespace)

    def _written(self, layout: Layout, kind: AnswerKind, reasoning: str, answer: str) -> str:
        if isinstance(kind, Record):
            return self.dump(filled(layout, kind, reasoning, answer))
        shown = json.loads(answer) if kind.numeric and NUMBER.fullmatch(answer) else answer
        rationale = laid_out(reasoning, layout.rationale)
        return json.dumps({name: shown if name == layout.answer else rationale for name in layout.fields}, ensure_ascii=False)

    def grammar(self, layout: Layout, kind: AnswerKind, fields: Constraint) -> Constraint:
        return fields

    def dump(self, tree: Mapping[str, Any]) -> str:
        return _dumped(tree)

    def load(self, body: str, layout: Layout, kind: Record) -> dict[str, Any] | None:
        return load_object(body)

    def parse(self, body: str, fields: Sequence[str] | None) -> list[Part] | None:
        members = parse_object(body)
        return None if members is None else [_part(member, body) for member in members]

    def divide(self, text: str, layout: Layout, kind: AnswerKind) -> list[PartName]:
        return divide_object(text, layout.answer)

    def begin(self, layout: Layout, rationale: str) -> str:
        (stage,) = layout.stages
        return f"{{{json.dumps(stage, ensure_ascii=False)}: {json.dumps(rationale, ensure_ascii=False)}"[:-1]

    def rationale(self, text: str, layout: Layout, kind: AnswerKind) -> str | None:
        parts = self.parts(text, None if isinstance(kind, Record) else layout.fields) or []
        names = [part.name for part in parts]
        (stage,) = layout.stages
        if stage not in names:
            return ""
        place = names.index(stage)
        return None if layout.answer in names[:place] else parts[place].written or ""

    def find(self, text: str) -> Iterator[Field]:
        """Looks in a whole object, in one that is cut or single-quoted, and in a bare `{answer: 18}`."""
        for match in some(list(FIELD.finditer(text))) if "{" in text and ":" in text else ():
            group = match.lastgroup
            span = match.span(group) if group else (match.end(), match.end())
            yield Field(match[2] or match[3], _held(group, match[group]) if group else "", span)
        for match in some(list(VERDICTS.finditer(text))):
            right = re.findall(r'"([A-Z])"\s*:\s*true', match[0])
            yield Field("answer", right[0] if len(right) == 1 else "", match.span())

    def unpack(self, text: str, answers: bool) -> str | None:
        """By local marks, not by parsing: a missing quote or brace, or a cut, changes nothing around it."""
        start = _object_start(text)
        return None if start < 0 else text[:start] + stripped(text[start:], answers)


# -- records


def _dumped(tree: Any) -> str:
    if isinstance(tree, Mapping):
        return "{" + ", ".join(f"{json.dumps(name, ensure_ascii=False)}: {_dumped(one)}" for name, one in tree.items()) + "}"
    if isinstance(tree, list):
        return "[" + ", ".join(map(_dumped, tree)) + "]"
    return tree if isinstance(tree, Bare) else json.dumps(tree, ensure_ascii=False)


def load_object(text: str) -> dict[str, Any] | None:
    """A text as an object, with scalars as written."""
    try:
        found = json.loads(text, parse_int=str, parse_float=str, parse_constant=_reject, object_pairs_hook=merged)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


@dataclass(frozen=True, kw_only=True)
class Member:
    """One key of an object, its value, and the place of the value."""

    key: str
    value: Any
    start: int
    end: int

    def written(self, body: str) -> str:
        """The value as text; numbers as the model wrote them (`18.0` stays `18.0`)."""
        return self.value if isinstance(self.value, str) else body[self.start : self.end]


# -- strict


def _part(member: Member, body: str) -> Part:
    written: str | None = member.written(body)
    if member.value is None:
        written = ""
    if isinstance(member.value, dict | list):
        written = None
    span, prose = (member.start, member.end), isinstance(member.value, str)
    return Part(member.key, written, span, prose=prose, listed=is_list(member.value))


def _reject(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


DECODER = json.JSONDecoder(parse_constant=_reject)


def parse_object(text: str) -> list[Member] | None:
    """The members of a text that is nothing but one JSON object, in order, duplicates kept; None otherwise."""
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


# -- lenient


def _held(group: str, written: str) -> str:
    """What a field holds; for an object, its values, one a line (nothing for a schema, which is no answer)."""
    if group == "text":
        return _unescaped(written)
    if group == "object":
        held = "" if SCHEMA.search(written) else "\n".join(a or b for a, b in LEAF.findall(written))
    else:
        held = written.strip().strip("'")
    return "" if NOTHING.fullmatch(held) else held


def _unescaped(body: str) -> str:
    """A JSON string's body with its escapes undone; unchanged where it was cut inside an escape."""
    try:
        return json.loads(f'"{body}"', strict=False)
    except ValueError:
        return body


# -- without syntax


def _object_start(text: str) -> int:
    """Where an object begins, whole or damaged; -1 if there is none."""
    begins = len(text) - len(text.lstrip())
    if text.startswith("{", begins) and QUOTED.match(text, begins + 1):
        return begins
    key = KEY.search(text)
    if key is None:
        return -1
    before = text[: key.start()].rstrip()
    return len(before) - 1 if before.endswith("{") else key.start()


def stripped(text: str, answers: bool) -> str:
    """Only the strings of a text that is an object or what is left of one, each character in its place."""

    def left(match: re.Match[str]) -> str:
        if match.lastgroup == "escape":
            return undone(match[0])
        if match.lastgroup == "answer" and (answers or heads_rationale(match["held"])):
            key = match.start("held") - match.start()
            return blank(match[0][:key]) + stripped(match["held"], answers) + blank(match[0][key + len(match["held"]) :])
        return removed(match[0]) if match[0] == '"' else blank(match[0])

    return MARKS.sub(left, text)
