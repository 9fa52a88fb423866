"""Reading other people's transcripts, whose prompts we do not know: a contract of no particular field names.

Strict for text: the answer stands behind a mark that published prompts ask for ("The answer is", "Answer:", `####`,
`\\boxed{}`). Strict for JSON: the whole reply is one object (a fence around it is fine) with exactly one field that is
named like an answer and holds a scalar.
"""

from __future__ import annotations

import re
from typing import Literal

from fmtbench.answers import AnswerKind
from fmtbench.conditions.failure import name_failure
from fmtbench.conditions.json_object import parse_object, unfenced
from fmtbench.conditions.latent import MARKS, NAMES
from fmtbench.types import Extraction, Generation

Format = Literal["text", "json"]


def read_transcript(generation: Generation, kind: AnswerKind, written: Format) -> Extraction:
    """Locate the answer by the format's usual contract, and name the status."""
    found = _read_json(generation.text) if written == "json" else _read_text(generation.text, kind)
    status = name_failure(found, generation)
    return found if status == "ok" else Extraction(status=status)


def _read_text(text: str, kind: AnswerKind) -> Extraction:
    marked = sorted((span, answer) for mark in MARKS for answer, span in mark(text, kind) if answer.strip())
    if not marked:
        return Extraction(status="invalid_format" if text.strip() else "no_answer")
    span, answer = marked[-1]
    return Extraction(status="ok", answer=answer, span=span)


def _read_json(text: str) -> Extraction:
    offset, body = unfenced(text)
    members = parse_object(body)
    if members is None:
        return Extraction(status="invalid_format" if text.strip() else "no_answer")
    answers = [member for member in members if re.fullmatch(NAMES, member.key, re.I)]
    if len(answers) != 1 or isinstance(answers[0].value, dict | list):
        return Extraction(status="schema_violation")
    answer = answers[0]
    if answer.value is None or not answer.written(body).strip():
        return Extraction(status="no_answer")
    return Extraction(status="ok", answer=answer.written(body), span=(answer.start + offset, answer.end + offset))
