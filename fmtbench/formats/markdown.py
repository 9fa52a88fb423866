"""Markdown sections with fixed headings in a fixed order:

    ## Reasoning
    9 * 2 = 18

    ## Answer
    18

The reader asks for the structure alone, as in `json_object.py`: nothing stands before the first heading, the headings come
in their order, and the answer is one paragraph. A heading's level, case and closing colon do not matter, and headings of
other names belong to the section they stand in.
"""

from __future__ import annotations

import re

from fmtbench.answers import AnswerKind
from fmtbench.formats.base import Contract, Layout
from fmtbench.formats.fence import unfenced
from fmtbench.types import Extraction

HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(\S.*)$", re.M)

Section = tuple[str, int, int]
"""Name of the field (or the words of its heading), start and end of what stands below."""


class MarkdownContract(Contract):
    """Sections under headings."""

    def ask(self, layout: Layout, kind: AnswerKind) -> str:
        order = ", with the headings in this order" if len(layout.fields) > 1 else ""
        form = (f"## {title(n)}\n{kind.placeholder() if n == layout.answer else '<text>'}" for n in layout.fields)
        return f"Reply with only Markdown of this form{order}:\n" + "\n\n".join(form)

    def read(self, text: str, layout: Layout, kind: AnswerKind) -> Extraction:
        offset, body = unfenced(text, "markdown", "md")
        sections = _sections(body, layout)
        if sections is None:
            return Extraction(status="invalid_format" if text.strip() else "no_answer")
        spans = {name: (start + offset, end + offset) for name, start, end in sections}
        reasoning = tuple(spans[stage] for stage in layout.stages if stage in spans)
        if tuple(name for name, _, _ in sections) != layout.fields:
            return Extraction(status="schema_violation", reasoning=reasoning)
        start, end = spans[layout.answer]
        if start == end:
            return Extraction(status="no_answer", reasoning=reasoning)
        if re.search(r"\n[ \t]*\n", text[start:end]):
            return Extraction(status="schema_violation", reasoning=reasoning)
        return Extraction(status="ok", answer=text[start:end], span=(start, end), reasoning=reasoning)

    def example(self, layout: Layout, kind: AnswerKind, reasoning: str, answer: str) -> str:
        return "\n\n".join(f"## {title(n)}\n{answer if n == layout.answer else reasoning}" for n in layout.fields)


def title(field: str) -> str:
    """The heading of a field: `final_answer` is `Final answer`."""
    return field.replace("_", " ").capitalize()


def _sections(body: str, layout: Layout) -> list[Section] | None:
    """The sections of the layout's fields, in the order of the text; None where text stands before the first, or none is."""
    names = {title(name).casefold(): name for name in layout.fields}
    sections = parse_sections(body, frozenset(names))
    return sections and [(names[heading.casefold()], start, end) for heading, start, end in sections]


def parse_sections(body: str, known: frozenset[str] | None = None) -> list[Section] | None:
    """The sections of a text that begins with a heading, under `known` headings (lower case) or, where None, under any."""
    shown = [(match, match[1].strip("*_:# \t")) for match in HEADING.finditer(body)]
    found = [(match, words) for match, words in shown if known is None or words.casefold() in known]
    if not found or body[: found[0][0].start()].strip():
        return None
    stops = [match.start() for match, _ in found[1:]] + [len(body)]
    return [(words, *_stripped(body, match.end(), stop)) for (match, words), stop in zip(found, stops)]


def _stripped(body: str, start: int, end: int) -> tuple[int, int]:
    written = body[start:end]
    start += len(written) - len(written.lstrip())
    return start, start + len(written.strip())
