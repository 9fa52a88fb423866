"""Assignments with fixed names in a fixed order, the example of an added format:

reasoning := "9 * 2 = 18"
answer := 18
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from fmtbench.answers import AnswerKind
from fmtbench.formats.base import Field, Layout, Syntax
from fmtbench.formats.blanks import blank, undone
from fmtbench.formats.names import NAMED, NAMES
from fmtbench.formats.structured import Part, StructuredFormat

KEY = r'^[ \t]*(?P<key>[\w-]+|"[^"\n]*")[ \t]*:=[ \t]*'
STRING = r'"(?P<text>(?:[^"\\\n]|\\.)*)"?|\'(?P<literal>[^\'\n]*)\'?'
LINE = re.compile(rf"{KEY}(?:{STRING}|(?P<bare>[^\s#][^#\n]*))", re.M)
FIELD = re.compile(rf"{KEY}(?:{STRING}|(?P<bare>-?[\w.+-]+)[ \t]*(?:#.*)?$)", re.M)
NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?")


class AssignedFormat(StructuredFormat):
    """Names and values, a line each."""

    name = "assigned"
    precedence = 36
    languages = ("assigned",)
    syntax = Syntax(answer=re.compile(rf"^[ \t]*{NAMES}[ \t]*:=.*$", re.I | re.M))

    def form(self, layout: Layout, kind: AnswerKind) -> str:
        answer = kind.placeholder() if kind.numeric else f'"{kind.placeholder()}"'
        form = (f"{name} := " + (answer if name == layout.answer else '"<text>"') for name in layout.fields)
        return f"assignments of this form{layout.in_order('names')}:\n" + "\n".join(form)

    def write(self, layout: Layout, kind: AnswerKind, reasoning: str, answer: str) -> str:
        bare = kind.numeric and NUMBER.fullmatch(answer)
        shown = {name: _quoted(reasoning) for name in layout.stages}
        shown[layout.answer] = answer if bare else _quoted(answer)
        return "\n".join(f"{name} := {shown[name]}" for name in layout.fields)

    def parse(self, body: str, fields: Sequence[str] | None) -> list[Part] | None:
        lines = [line for line in body.split("\n") if line.strip()]
        found = [LINE.fullmatch(line) for line in lines]
        if not lines or not all(found):
            return None
        starts = [match.start() for match in LINE.finditer(body)]
        return [_part(match, start) for match, start in zip(found, starts) if match]

    def opening(self, name: str) -> str:
        return rf"^[ \t]*(?P<key>{re.escape(name)})[ \t]*:=(?=[ \t]|$)"

    def find(self, text: str) -> Iterator[Field]:
        for match in FIELD.finditer(text):
            if NAMED.fullmatch(match["key"]):
                yield Field(match["key"], _held(match), match.span(match.lastgroup or "text"))

    def unpack(self, text: str, answers: bool) -> str | None:
        """Where a key has a quoted value: the values, and what is around them, each at its place."""
        fields = [match for match in FIELD.finditer(text) if match.lastgroup != "bare" or NAMED.fullmatch(match["key"])]
        if not any(match.lastgroup != "bare" for match in fields):
            return None
        kept, end = [], 0
        for match in fields:
            kept += [text[end : match.start()], _left(match, answers)]
            end = match.end()
        return "".join([*kept, text[end:]])


def _left(match: re.Match[str], answers: bool) -> str:
    """The value alone, where it is wanted, with blanks around it."""
    if not answers and NAMED.fullmatch(match["key"]):
        return blank(match[0])
    start, end = match.span(match.lastgroup or "bare")
    return blank(match[0][: start - match.start()]) + undone(match.string[start:end]) + blank(match.string[end : match.end()])


def _part(line: re.Match[str], offset: int) -> Part:
    start, end = line.span(line.lastgroup or "text")
    quoted = line.lastgroup != "bare"
    listed = not quoted and line["bare"].startswith("[")
    return Part(line["key"].strip('"'), None if listed else _held(line), (start + offset, end + offset), prose=quoted)


def _quoted(text: str) -> str:
    """A string of JSON."""
    return json.dumps(text, ensure_ascii=False)


def _held(match: re.Match[str]) -> str:
    if match.lastgroup != "text":
        return match[match.lastgroup or "bare"].strip()
    try:
        return json.loads(f'"{match["text"]}"')
    except ValueError:
        return match["text"]
