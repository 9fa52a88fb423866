"""Reading other people's transcripts, whose prompts we do not know: a contract of no particular field names.

Strict for text: the answer comes after a mark that published prompts ask for ("The answer is", "Answer:", `####`,
`\\boxed{}`, 정답은). Strict for a structured format: the whole reply is one object, mapping, row of elements or of sections
(a fence around it is fine) with exactly one part that is named like an answer and holds a scalar.
"""

from __future__ import annotations

from fmtbench.formats import FORMATS
from fmtbench.formats.names import NAMED
from fmtbench.formats.structured import StructuredFormat
from fmtbench.readers.failure import name_failure
from fmtbench.readers.marks import marks
from fmtbench.types import Extraction, Generation

TEXT = "text"


def readable() -> dict[str, StructuredFormat]:
    """The formats that a transcript can be read as, besides text; the strictest first."""
    return {name: one for name, one in FORMATS.items() if isinstance(one, StructuredFormat)}


def read_transcript(generation: Generation, written: str) -> Extraction:
    """Locate the answer by the usual contract of a format, `text` or one of `readable()`, and name the status."""
    found = _read_text(generation.text) if written == TEXT else _read_parts(generation.text, readable()[written])
    status = name_failure(found, generation)
    return found if status == "ok" else Extraction(status=status)


def guess_format(text: str) -> str:
    """The structured format whose contract a reply keeps; text where it keeps none."""
    return next((name for name, one in readable().items() if _read_parts(text, one).status == "ok"), TEXT)


def _read_text(text: str) -> Extraction:
    marked = [(span, answer) for answer, span in marks(text) if answer.strip()]
    if not marked:
        return Extraction(status="invalid_format" if text.strip() else "no_answer")
    span, answer = marked[-1]
    return Extraction(status="ok", answer=answer, span=span)


def _read_parts(text: str, written: StructuredFormat) -> Extraction:
    parts = written.parts(text, None)
    if parts is None:
        return Extraction(status="invalid_format" if text.strip() else "no_answer")
    answers = [part for part in parts if NAMED.fullmatch(part.name)]
    if len(answers) != 1 or answers[0].written is None:
        return Extraction(status="schema_violation")
    (answer,) = answers
    if not answers[0].written.strip():
        return Extraction(status="no_answer")
    return Extraction(status="ok", answer=answer.written, span=answer.span)
