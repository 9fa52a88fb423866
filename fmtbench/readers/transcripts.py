"""Reading other people's transcripts, whose prompts we do not know: a contract of no particular field names.

Strict for text: the answer comes after a mark, any that published prompts ask for, or the one that is named (`stated` is
what our own prompts ask for: "The answer is ..."). Strict for a structured format: the whole reply is one object, mapping, row
of elements or of sections (a fence around it is fine) whose parts that are named like an answer hold one and the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from fmtbench.answers import AnswerKind
from fmtbench.formats import FORMATS
from fmtbench.formats.names import NAMED
from fmtbench.formats.structured import StructuredFormat
from fmtbench.readers.contract import Contract
from fmtbench.readers.failure import name_failure
from fmtbench.readers.marks import MARKS, statements
from fmtbench.readers.reply import ends, place_in_whole, reply_place
from fmtbench.types import Extraction, Generation

TEXT = "text"
ANY = "any"


def readable() -> dict[str, StructuredFormat]:
    """The formats that a transcript can be read as, besides text; the strictest first."""
    return {name: one for name, one in FORMATS.items() if isinstance(one, StructuredFormat)}


def read_transcript(
    generation: Generation, kind: AnswerKind, written: str, mark: str = ANY, contract: Contract | None = None
) -> Extraction:
    """Locate the answer by the contract of its study, or else by the usual one of a format, `text` or one of `readable()`, and
    name the status."""
    start, end = reply_place(generation.text, kind)
    reply = generation.text[start:end]
    if contract is not None:
        found = contract.read(reply, kind)
    else:
        found = _read_text(reply, kind, mark) if written == TEXT else _read_parts(reply, kind, readable()[written])
    found = found.moved(start)
    status = name_failure(found, generation, kind)
    return found if status == "ok" else Extraction(status=status)


def guess_format(text: str, kind: AnswerKind) -> str:
    """The structured format whose contract a reply keeps; text if it keeps none."""
    start, end = reply_place(text, kind)
    reply = text[start:end]
    return next((name for name, one in readable().items() if _read_parts(reply, kind, one).status == "ok"), TEXT)


def _read_text(text: str, kind: AnswerKind, mark: str) -> Extraction:
    shown = ends(text)
    found = statements(shown, kind) if mark == ANY else list(MARKS[mark](shown, kind))
    if not found:
        return Extraction(status="no_mark" if text.strip() else "no_answer")
    if not found[-1].answer.strip():
        return Extraction(status="no_answer")
    return Extraction(status="ok", answer=found[-1].answer, span=place_in_whole(found[-1].span, len(text)))


def _read_parts(text: str, kind: AnswerKind, written: StructuredFormat) -> Extraction:
    parts = written.parts(text, None)
    if parts is None:
        return Extraction(status="no_mark" if text.strip() else "no_answer")
    answers = [part for part in parts if NAMED.fullmatch(part.name)]
    if not answers or any(part.written is None for part in answers):
        return Extraction(status="schema_violation")
    if not _agree([part.written or "" for part in answers], kind):
        return Extraction(status="schema_violation")
    answer = answers[-1]
    if not (answer.written or "").strip():
        return Extraction(status="no_answer")
    return Extraction(status="ok", answer=answer.written, span=answer.span)


def _agree(answers: Sequence[str], kind: AnswerKind) -> bool:
    """Whether all are the same answer; each spelling is compared once, since a loop repeats itself by the hundred."""
    first, *others = dict.fromkeys(answers)
    canon = kind.canon(first) if others else None
    return all(kind.canon(other) == canon for other in others)
