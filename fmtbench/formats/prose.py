"""The fields of a format asked for in prose: "The reasoning is 9 * 2 = 18. The answer is 18."

The information-matched control of the formats: the same fields and placeholders, in the same order and in the words of
the other formats, without keys, tags, quotation marks or headings ("Capacity, Not Format", arXiv 2606.09410, compares
JSON to such prose). What `free_cot` leaves open, the names of the parts and their order, is fixed here as it is in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from fmtbench.answers import AnswerKind, Record
from fmtbench.formats.base import Field, Format, Layout, Syntax
from fmtbench.formats.records import SPACE, filled, flat, judged, openings, put_together, shape
from fmtbench.formats.statements import answer_span
from fmtbench.formats.steps import laid_out, placeholder
from fmtbench.formats.text import spans
from fmtbench.types import Extraction


class ProseFormat(Format):
    """Sentences that name their part."""

    name = "prose"
    precedence = 80
    syntax = Syntax(
        answer=re.compile(r"(?:^|(?<=[.!?\n] ))The final is\b[^\n.]*+(?:\.\d+)?\.?", re.M),  # others are stated as in text
        heads=re.compile(
            r"(?:^|(?<=[.!?\n] ))The (?:reasoning|rationale|thoughts?|phenomenon|observation|conclusion) is\b:?", re.M
        ),
    )

    def ask(self, layout: Layout, kind: AnswerKind) -> str:
        if isinstance(kind, Record):
            return f"Reply with only prose of this form{layout.in_order('parts')}: {_of_record(shape(layout, kind))}"
        form = self._sentences(layout, str(placeholder(layout.rationale)), kind.placeholder())
        return f"Reply with only prose of this form{layout.in_order('parts')}: {form}"

    def write(self, layout: Layout, kind: AnswerKind, reasoning: str, answer: str) -> str:
        if isinstance(kind, Record):
            return _of_record(filled(layout, kind, reasoning.removesuffix("."), answer))
        return self._sentences(layout, str(laid_out(reasoning.removesuffix("."), layout.rationale)), answer)

    def read(self, text: str, layout: Layout, kind: AnswerKind) -> Extraction:
        if isinstance(kind, Record):
            return _read_record(text, layout, kind)
        found = {name: _opening(name, text, last=layout.order != "answer_first") for name in layout.fields}
        answer = found[layout.answer]
        if answer is None:
            return Extraction(status="no_mark" if text.strip() else "no_answer", reasoning=spans((0, len(text))))
        start, end = answer_span(text, answer.end())
        reasoning = spans((0, answer.start()), (end, len(text)))
        places = [opening.start() for opening in found.values() if opening]
        if len(places) < len(found) or places != sorted(places):
            return Extraction(status="schema_violation", reasoning=reasoning)
        if start == end:
            return Extraction(status="no_answer", reasoning=reasoning)
        return Extraction(status="ok", answer=text[start:end], span=(start, end), reasoning=reasoning)

    def find(self, text: str) -> Iterable[Field]:
        """None: its sentences are marks, as in text."""
        return ()

    def _sentences(self, layout: Layout, reasoning: str, answer: str) -> str:
        return " ".join(f"The {name} is {answer if name == layout.answer else reasoning}." for name in layout.fields)


RECORD_OPENING = rf"\bthe{SPACE}LABEL{SPACE}(?:is|are)\b:?[ \t]*"
"""A name may begin or end with a sign that separates words, as `_id` does."""


def _of_record(tree: dict[str, Any]) -> str:
    return " ".join(f"The {one.label} is {one.text}." for one in flat(tree))


def _read_record(text: str, layout: Layout, kind: Record) -> Extraction:
    """Each part goes on to the next one's opening; the last ends with its sentence. A part that occurs twice counts where it
    occurs last."""
    heads = openings(text, layout, kind, RECORD_OPENING)
    nothing = Extraction(status="no_mark" if text.strip() else "no_answer", reasoning=spans((0, len(text))))
    if not heads:
        return nothing
    ends = [one.start for one in heads[1:]] + [answer_span(text, heads[-1].end)[1]]
    if heads[-1].path[0] in layout.stages:
        ends[-1] = len(text)
    said = [(one, text[one.end : end].strip().removesuffix(".")) for one, end in zip(heads, ends)]
    reasoning = spans(*((one.start, end) for one, end in zip(heads, ends) if one.path[0] in layout.stages))
    tree = put_together(said)
    return judged(tree, layout, kind, replace(nothing, reasoning=reasoning), (heads[0].start, ends[-1]))


def _opening(name: str, text: str, *, last: bool) -> re.Match[str] | None:
    """The words that open a part: the last such words, or the first where the answer comes before its reasons."""
    found = list(re.finditer(rf"\bthe {re.escape(name)} (?:is|are)\b:?[ \t]*", text, re.I))
    return (found[-1] if last else found[0]) if found else None
