"""Markdown sections with fixed headings in a fixed order:

    ## Reasoning
    9 * 2 = 18

    ## Answer
    18

Nothing comes before the first heading, and the answer is one paragraph. A heading's level, case and closing colon do not
matter, and a heading of any other name belongs to the section it is in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fmtbench.answers import AnswerKind, Record
from fmtbench.formats.base import Field, Layout, Syntax
from fmtbench.formats.names import NAMES
from fmtbench.formats.records import filled, flat, openings, put_together, shape
from fmtbench.formats.structured import Part, StructuredFormat

HEADING = re.compile(r"^ {0,3}(?:#{1,6}[ \t]+(\S.*)|(\w[^\n]{0,60})\n {0,3}(?:={3,}|-{3,})[ \t]*)$", re.M)
"""A heading marked by `#`, or underlined."""
MOST_SECTIONS = 200
"""A reply with more sections is a loop."""
BLANK_LINE = re.compile(r"\n[ \t]*\n")
ANY_HEADING = re.compile(r"^(?: {0,3}#{1,6}[ \t]+\S.*|\w[^\n]{0,60}\n(?:={3,}|-{3,})[ \t]*|[ \t]*\*\*[^*\n]+\*\*:?[ \t]*)$", re.M)
"""A line of bold text heads a section, too."""
NAMED_HEADING = re.compile(rf"[#*_\s]*(?:\d+[.)]\s*)?({NAMES})[#*_:=\s-]*", re.I)
TABLE_FIELD = re.compile(rf"^\|[ *_]*({NAMES})[ *_:]*\|([^|\n]+)\|", re.I | re.M)

RECORD_HEADING = r"^ {0,3}#{1,6}[ \t]+[*_]{0,2}LABEL[*_: \t]{0,5}$"

Section = tuple[str, int, int]
"""The words of a heading, start and end of what it heads."""


class MarkdownFormat(StructuredFormat):
    """Sections under headings."""

    name = "markdown"
    precedence = 40
    languages = ("markdown", "md")
    syntax = Syntax(
        answer=re.compile(rf"^#{{1,6}}[ \t]{{0,9}}[*_]{{0,3}}{NAMES}\b[^\n]*+\s*+(?:(?!#)\S[^\n]*+\n?)*+", re.I | re.M),
        lines=re.compile(r"^#{1,6}[ \t][^\n]{0,60}$", re.M),  # a longer one is a paragraph whose heading lost its line break
        heads=re.compile(r"^#{1,6}[ \t]{1,9}", re.M),
        inline=re.compile(r"\*{2,}|__+|`+"),
    )

    def form(self, layout: Layout, kind: AnswerKind) -> str:
        if isinstance(kind, Record):
            return f"Markdown of this form{layout.in_order('headings')}:\n{self.dump(shape(layout, kind))}"
        form = (f"## {title(n)}\n{kind.placeholder() if n == layout.answer else '<text>'}" for n in layout.fields)
        return f"Markdown of this form{layout.in_order('headings')}:\n" + "\n\n".join(form)

    def write(self, layout: Layout, kind: AnswerKind, reasoning: str, answer: str) -> str:
        if isinstance(kind, Record):
            return self.dump(filled(layout, kind, reasoning, answer))
        return "\n\n".join(f"## {title(n)}\n{answer if n == layout.answer else reasoning}" for n in layout.fields)

    def dump(self, tree: Mapping[str, Any]) -> str:
        return "\n\n".join(f"## {title(one.label)}\n{one.text}" for one in flat(tree))

    def load(self, body: str, layout: Layout, kind: Record) -> dict[str, Any] | None:
        """Nothing comes before the first section; a heading of any other name belongs to the section it is in."""
        heads = openings(body, layout, kind, RECORD_HEADING)
        if not heads or body[: heads[0].start].strip():
            return None
        stops = [one.start for one in heads[1:]] + [len(body)]
        return put_together([(one, body[one.end : stop]) for one, stop in zip(heads, stops)])

    def parse(self, body: str, fields: Sequence[str] | None) -> list[Part] | None:
        names = {title(name).casefold(): name for name in fields or ()}
        sections = parse_sections(body, None if fields is None else frozenset(names))
        if sections is None:
            return None
        return [_part(names.get(words.casefold(), words), body, start, end) for words, start, end in sections]

    def opening(self, name: str) -> str:
        return rf"^ {{0,3}}#{{1,6}}[ \t]+[*_]{{0,3}}(?P<key>(?i:{re.escape(title(name))}))[*_:# \t]*$"

    def find(self, text: str) -> Iterator[Field]:
        """A section under a heading, or a row of a table."""
        yield from _headed(text)
        for match in TABLE_FIELD.finditer(text):
            yield Field(match[1], match[2].strip(), match.span(2))


def title(field: str) -> str:
    """The heading of a field: `final_answer` is `Final answer`."""
    return field.replace("_", " ").capitalize()


def parse_sections(body: str, known: frozenset[str] | None = None) -> list[Section] | None:
    """The sections of a text that begins with a heading, under `known` headings (lower case) or, where None, under any."""
    shown = [(match, (match[1] or match[2]).strip("*_:# \t")) for match in HEADING.finditer(body)]
    found = [(match, words) for match, words in shown if known is None or words.casefold() in known]
    if not 0 < len(found) <= MOST_SECTIONS or body[: found[0][0].start()].strip():
        return None
    stops = [match.start() for match, _ in found[1:]] + [len(body)]
    return [(words, *_stripped(body, match.end(), stop)) for (match, words), stop in zip(found, stops)]


def _part(name: str, body: str, start: int, end: int) -> Part:
    written = body[start:end]
    return Part(name, None if BLANK_LINE.search(written) else written, (start, end))


def _stripped(body: str, start: int, end: int) -> tuple[int, int]:
    written = body[start:end]
    start += len(written) - len(written.lstrip())
    return start, start + len(written.strip())


def _headed(text: str) -> Iterator[Field]:
    lines = list(ANY_HEADING.finditer(text))
    ends = [0, *(line.end() for line in lines)]
    # A bold line right below a heading is what the section holds.
    headings = [line for line, end in zip(lines, ends) if "#" in line[0] or not end or text[end : line.start()].strip()]
    stops = [heading.start() for heading in headings[1:]] + [len(text)]
    for heading, stop in zip(headings, stops):
        named = NAMED_HEADING.fullmatch(heading[0])
        if named and text[heading.end() : stop].strip():
            yield Field(named[1], text[heading.end() : stop].strip(), (heading.end(), stop))
