"""The fields of a format asked for in prose: "The reasoning is 9 * 2 = 18. The answer is 18."

The information-matched control of the formats: the same fields and placeholders, in the same order and in the words of
the other contracts, without keys, tags, quotation marks or headings ("Capacity, Not Format", arXiv 2606.09410, compares
JSON to such prose). What `free_cot` leaves open, the names of the parts and their order, is said here as it is there.
"""

from __future__ import annotations

import re

from fmtbench.answers import AnswerKind
from fmtbench.formats.base import Contract, Layout
from fmtbench.formats.text import answer_span, spans
from fmtbench.types import Extraction


class ProseContract(Contract):
    """Sentences that name their part."""

    def ask(self, layout: Layout, kind: AnswerKind) -> str:
        order = ", with the parts in this order" if len(layout.fields) > 1 else ""
        return f"Reply with only prose of this form{order}: {self._sentences(layout, '<text>', kind.placeholder())}"

    def read(self, text: str, layout: Layout, kind: AnswerKind) -> Extraction:
        found = [_sentence(name, text, last=layout.order != "answer_first") for name in layout.fields]
        if found[layout.fields.index(layout.answer)] is None:
            return Extraction(status="invalid_format" if text.strip() else "no_answer", reasoning=spans((0, len(text))))
        places = [match.start() for match in found if match]
        marker = found[layout.fields.index(layout.answer)]
        assert marker is not None
        start, end = answer_span(text, marker.end())
        reasoning = spans((0, marker.start()), (end, len(text)))
        if None in found or places != sorted(places):
            return Extraction(status="schema_violation", reasoning=reasoning)
        if start == end:
            return Extraction(status="no_answer", reasoning=reasoning)
        return Extraction(status="ok", answer=text[start:end], span=(start, end), reasoning=reasoning)

    def example(self, layout: Layout, kind: AnswerKind, reasoning: str, answer: str) -> str:
        return self._sentences(layout, reasoning.removesuffix("."), answer)

    def _sentences(self, layout: Layout, reasoning: str, answer: str) -> str:
        return " ".join(f"The {name} is {answer if name == layout.answer else reasoning}." for name in layout.fields)


def _sentence(name: str, text: str, *, last: bool) -> re.Match[str] | None:
    """The words that open a part: where they come last, or first where the answer comes before its reasons."""
    found = list(re.finditer(rf"\bthe {re.escape(name)} (?:is|are)\b:?[ \t]*", text, re.I))
    return (found[-1] if last else found[0]) if found else None
