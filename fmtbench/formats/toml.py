"""TOML with fixed keys in a fixed order:

    reasoning = "9 * 2 = 18"
    answer = 18

A table would claim all keys after it, so nested parts of a record are written inline: `lines = [{ name = "pot", price = 12.5 }]`.
TOML has no null: where a field holds nothing, `"none"` says so, as in prose.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fmtbench.answers import AnswerKind, Record
from fmtbench.formats.base import Field, Layout, Syntax
from fmtbench.formats.blanks import blank, undone
from fmtbench.formats.names import NAMED, NAMES
from fmtbench.formats.records import Bare, filled, shape
from fmtbench.formats.statements import some
from fmtbench.formats.structured import Part, StructuredFormat

KEY = r'^[ \t]*(?P<key>[\w-]+|"[^"\n]*")[ \t]*=[ \t]*'
STRING = r'"(?P<text>(?:[^"\\\n]|\\.)*)"?|\'(?P<literal>[^\'\n]*)\'?'
LINE = re.compile(rf"{KEY}(?:{STRING}|(?P<bare>[^\s#][^#\n]*))", re.M)
FIELD = re.compile(rf"{KEY}(?:{STRING}|(?P<bare>-?[\w.+-]+)[ \t]*(?:#.*)?$)", re.M)
LONGEST, MOST_VALUES = 32_000, 2000
"""The most characters and values of a document."""
DOTTED = re.compile(r'(?<![\w-])(?:[\w-]{1,99}|"[^"\n]{0,99}")(?:\s{0,9}\.\s{0,9}(?:[\w-]{1,99}|"[^"\n]{0,99}")){30}')
"""The most parts of a key: tomllib's time grows with their square."""
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?")


class TomlFormat(StructuredFormat):
    """Keys and values of a document without tables."""

    name = "toml"
    precedence = 35
    languages = ("toml",)
    syntax = Syntax(answer=re.compile(rf"^[ \t]*{NAMES}[ \t]*=.*$", re.I | re.M), sign="=")

    def form(self, layout: Layout, kind: AnswerKind) -> str:
        if isinstance(kind, Record):
            return f"TOML of this form{layout.in_order('keys')}:\n{self.dump(shape(layout, kind))}"
        answer = kind.placeholder() if kind.numeric else f'"{kind.placeholder()}"'
        form = (f"{name} = " + (answer if name == layout.answer else '"<text>"') for name in layout.fields)
        return f"TOML of this form{layout.in_order('keys')}:\n" + "\n".join(form)

    def write(self, layout: Layout, kind: AnswerKind, reasoning: str, answer: str) -> str:
        if isinstance(kind, Record):
            return self.dump(filled(layout, kind, reasoning, answer))
        bare = kind.numeric and NUMBER.fullmatch(answer)
        shown = {name: _quoted(reasoning) for name in layout.stages}
        shown[layout.answer] = answer if bare else _quoted(answer)
        return "\n".join(f"{name} = {shown[name]}" for name in layout.fields)

    def dump(self, tree: Mapping[str, Any]) -> str:
        return "\n".join(f"{_key(name)} = {_inline(one)}" for name, one in tree.items())

    def load(self, body: str, layout: Layout, kind: Record) -> dict[str, Any] | None:
        document = parse_document(body)
        return None if document is None else _as_text(document)

    def parse(self, body: str, fields: Sequence[str] | None) -> list[Part] | None:
        document = parse_document(body)
        if document is None:
            return None
        lines = {match["key"].strip('"'): match for match in LINE.finditer(body)}
        if fields is not None and document.keys() - lines.keys():
            return None
        return [_part(key, value, lines[key]) if key in lines else Part(key, None, (0, 0)) for key, value in document.items()]

    def opening(self, name: str) -> str:
        return rf"^[ \t]*(?P<key>{re.escape(name)})[ \t]*=(?=[ \t]|$)[ \t]*[\"']?"

    def closing(self, name: str) -> str:
        return r"[\"'][ \t]*(?=\n|\Z)"

    def find(self, text: str) -> Iterator[Field]:
        for match in some(list(FIELD.finditer(text))) if "=" in text else ():
            if NAMED.fullmatch(match["key"]):
                yield Field(match["key"], _held(match), match.span(match.lastgroup or "text"))

    def unpack(self, text: str, answers: bool) -> str | None:
        """Where a key has a quoted value: the values, and what is around them, each at its place."""
        if "=" not in text:
            return None
        fields = [match for match in FIELD.finditer(text) if match.lastgroup != "bare" or NAMED.fullmatch(match["key"])]
        if not any(match.lastgroup != "bare" for match in fields):
            return None
        kept, end = [], 0
        for match in fields:
            kept += [text[end : match.start()], _left(match, answers)]
            end = match.end()
        return "".join([*kept, text[end:]])


def parse_document(text: str) -> dict[str, Any] | None:
    """A text as a document, its numbers as written; None if it is not one, or is empty."""
    if "=" not in text or len(text) > LONGEST or text.count(",") > MOST_VALUES or DOTTED.search(text):
        return None
    try:
        return tomllib.loads(text, parse_float=Written) or None
    except (ValueError, RecursionError):
        return None


class Written(str):
    """A number with a decimal point, as written."""

    __slots__ = ()


def _as_text(value: Any) -> Any:
    """A document's tree with its scalars as text."""
    if isinstance(value, dict):
        return {name: _as_text(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_as_text(one) for one in value]
    return value if isinstance(value, str) else json.dumps(value) if isinstance(value, bool) else str(value)


def _key(name: str) -> str:
    return name if BARE_KEY.fullmatch(name) else _quoted(name)


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(name)} = {_inline(one)}" for name, one in value.items()) + " }" if value else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return str(value) if isinstance(value, Bare) else _quoted("none" if value is None else value)


def _left(match: re.Match[str], answers: bool) -> str:
    """The value alone, where it is wanted, with blanks around it."""
    if not answers and NAMED.fullmatch(match["key"]):
        return blank(match[0])
    start, end = match.span(match.lastgroup or "bare")
    return blank(match[0][: start - match.start()]) + undone(match.string[start:end]) + blank(match.string[end : match.end()])


def _part(key: str, value: object, line: re.Match[str]) -> Part:
    if isinstance(value, dict | list):
        return Part(key, None, line.span(), prose=False)
    span = line.span(line.lastgroup or "text")
    quoted = line.lastgroup != "bare"
    return Part(key, value if isinstance(value, str) else line[line.lastgroup or "bare"].strip(), span, prose=quoted)


def _quoted(text: str) -> str:
    """A basic string: JSON's escapes are TOML's, except that TOML also escapes DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _held(match: re.Match[str]) -> str:
    if match.lastgroup != "text":
        return match[match.lastgroup or "bare"].strip()
    try:
        return json.loads(f'"{match["text"]}"')
    except ValueError:
        return match["text"]
