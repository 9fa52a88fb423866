"""Plain text that states its answer in one marked sentence: "The answer is 18." """

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from fmtbench.answers import AnswerKind, Record
from fmtbench.formats.base import Field, Format, Layout, Syntax
from fmtbench.formats.records import filled, flat, judged, openings, put_together, shape
from fmtbench.formats.statements import stated
from fmtbench.formats.steps import laid_out
from fmtbench.types import Extraction


class TextFormat(Format):
    """Prose, with headings where the rationale has several stages."""

    name = "text"
    precedence = 90
    syntax = Syntax(answer=re.compile(r"####[ \t]*+\S.*|\\boxed\s{0,9}\{(?:[^{}]|\{[^{}]*\})*+\}"))

    def ask(self, layout: Layout, kind: AnswerKind) -> str:
        if isinstance(kind, Record):
            return self._ask_record(layout, kind)
        state = 'in the form "The answer is ...".'
        if layout.order == "answer_only":
            return f"Reply with only the answer, {state}"
        place = "start" if layout.order == "answer_first" else "end"
        return f"{self._ask_lines(layout, 'everything')}At the {place}, state the answer {state}"

    def _ask_record(self, layout: Layout, kind: Record) -> str:
        lines = "\n".join(f"{one.label}: {one.text}" for one in flat(shape(replace(layout, stages=()), kind)))
        if layout.order == "answer_only":
            return f"Reply with only the fields, each on a line of its own:\n{lines}"
        place = "start" if layout.order == "answer_first" else "end"
        before = self._ask_lines(layout, f"the {' and the '.join(layout.stages)}")
        return f"{before}At the {place}, state the fields, each on a line of its own:\n{lines}"

    def _ask_lines(self, layout: Layout, whole: str) -> str:
        """What is asked of the lines of the text, if anything. `whole`: what a paragraph has to hold."""
        if layout.rationale == "paragraph":
            return f"Write {whole} in one paragraph, without line breaks. "
        if len(layout.stages) < 2:
            return ""
        headings = ", ".join(f'"{stage.capitalize()}:"' for stage in layout.stages)
        return f"Write each part on a line of its own, beginning with {headings}. "

    def write(self, layout: Layout, kind: AnswerKind, reasoning: str, answer: str) -> str:
        held = str(laid_out(reasoning, layout.rationale))
        rationale = [f"{stage.capitalize()}: {held}" if len(layout.stages) > 1 else held for stage in layout.stages]
        lines, between = [f"The answer is {answer}."], " " if layout.rationale == "paragraph" else "\n"
        if isinstance(kind, Record):
            record = flat(filled(replace(layout, stages=()), kind, "", answer))
            lines, between = [f"{one.label}: {one.text}" for one in record], "\n"
        return between.join([*lines, *rationale] if layout.order == "answer_first" else [*rationale, *lines])

    def read(self, text: str, layout: Layout, kind: AnswerKind) -> Extraction:
        if isinstance(kind, Record):
            return _read_record(text, layout, kind)
        statements = list(stated(text, kind))
        if not statements:
            return Extraction(status="no_mark" if text.strip() else "no_answer", reasoning=spans((0, len(text))))
        found = statements[-1] if layout.order == "reasoning_first" else statements[0]
        end = found.span[1]
        if not found.answer.strip():
            return Extraction(status="no_answer", reasoning=spans((0, found.start)))
        return Extraction(status="ok", answer=found.answer, span=found.span, reasoning=spans((0, found.start), (end, len(text))))

    def begin(self, layout: Layout, rationale: str) -> str:
        return rationale

    def rationale(self, text: str, layout: Layout, kind: AnswerKind) -> str | None:
        found = self.read(text, layout, kind)
        first = found.reasoning[0] if found.reasoning else (0, 0)
        said = text[slice(*first)]
        if found.span and first[0] >= found.span[1]:
            return None if any(map(str.isalnum, said)) else ""
        return said

    def find(self, text: str) -> Iterable[Field]:
        """None: text has no fields, and its statements are marks (readers/marks.py), which count for less."""
        return ()


RECORD_LINE = r"^[ \t>*_#-]{0,9}LABEL[*_]{0,3}[ \t]{0,3}[:=][*_]{0,3}[ \t]*"


def _read_record(text: str, layout: Layout, kind: Record) -> Extraction:
    """The line of each field that counts: the last, or the first where the answer comes before its reasons."""
    bare = replace(layout, stages=())
    heads = openings(text, bare, kind, RECORD_LINE)
    nothing = Extraction(status="no_mark" if text.strip() else "no_answer", reasoning=spans((0, len(text))))
    if not heads:
        return nothing
    lines = [(one, text[one.end :].partition("\n")[0]) for one in heads]
    tree = put_together(lines if layout.order == "reasoning_first" else lines[::-1])
    start, end = heads[0].start, heads[-1].end + len(lines[-1][1])
    kept = replace(nothing, reasoning=spans((0, start), (end, len(text))))
    return judged(tree, bare, kind, kept, (start, end))


def spans(*places: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """Those places that hold anything."""
    return tuple((start, end) for start, end in places if end > start)
