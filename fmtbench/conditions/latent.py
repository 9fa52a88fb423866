"""The latent reader: one lenient cascade for every condition, blind to which condition it reads.

It answers "what did the model say?" where the contract's reader answers "did it say so as agreed?"; the gap between
the two accuracies is the contract loss. The rules, in order; within a rule the last match that the answer kind can
read wins, since a model that corrects itself does so later:

1. a field named like an answer, in JSON (whole, fenced, cut or in prose), YAML or XML
2. `\\boxed{...}`
3. `#### ...` (the GSM8K mark)
4. "the answer is ...", "Answer: ..."
5. the whole reply, where it is at most eight words
6. the last mention of something that could be an answer of this kind
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

from fmtbench.answers import AnswerKind, Text
from fmtbench.conditions.text import MARKER, answer_span
from fmtbench.types import Extraction

NAMES = r"(?:final[ _-]?answer|answer|final|result|solution|label|choice)"
JSON_FIELD = re.compile(rf'["\']{NAMES}["\']\s*:\s*(?:"((?:[^"\\]|\\.)*)"?|([^"\s,}}\]][^,}}\]\n]*))', re.I)
XML_FIELD = re.compile(rf"<{NAMES}>\s*(.*?)\s*(?:</|$)", re.I | re.S)
YAML_FIELD = re.compile(rf"^[ \t]*[*_]*{NAMES}[*_]*[ \t]*:[*_]*[ \t]*(\S.*)$", re.I | re.M)
BOXED = re.compile(r"\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
HASHES = re.compile(r"####[ \t]*(\S.*)")
SHORT_REPLY = 8

Found = tuple[str, tuple[int, int]]


def read_latent(text: str, kind: AnswerKind) -> Extraction:
    """The answer that a lenient reader finds, whatever the format; `no_answer` where there is none."""
    for rule in RULES:
        for answer, span in reversed(list(rule(text, kind))):
            answer, span = _named(answer, span, kind)
            if kind.canon(answer) is not None:
                return Extraction(status="ok", answer=answer, span=span)
            if any(kind.mentions(answer)):  # "the answer is A or B" is an answer, and says neither
                return Extraction(status="no_answer")
    return Extraction(status="no_answer")


def _named(answer: str, span: tuple[int, int], kind: AnswerKind) -> Found:
    """Where a whole sentence stands for a short text ("The capital of Peru is Lima"), the name in it."""
    if not isinstance(kind, Text) or len(answer.split()) < 4:
        return answer, span
    names = [(answer[start:end], (span[0] + start, span[0] + end)) for start, end in kind.mentions(answer)]
    return names[-1] if names else (answer, span)


def _fields(text: str, kind: AnswerKind) -> Iterator[Found]:
    found = [(_unescape(m[1]) if m[1] is not None else m[2].strip(), m.span()) for m in JSON_FIELD.finditer(text)]
    found += [(match[1], match.span(1)) for match in XML_FIELD.finditer(text)]
    found += [(match[1], match.span(1)) for match in YAML_FIELD.finditer(text)] if not found else []
    yield from sorted(found, key=lambda pair: pair[1])


def _unescape(body: str) -> str:
    """A JSON string's body with its escapes undone; as it stands where it was cut inside an escape."""
    try:
        return json.loads(f'"{body}"', strict=False)
    except ValueError:
        return body


def _matches(pattern: re.Pattern[str]) -> Callable[[str, AnswerKind], Iterator[Found]]:
    def rule(text: str, kind: AnswerKind) -> Iterator[Found]:
        for match in pattern.finditer(text):
            yield match[1], match.span(1)

    return rule


def _marked(text: str, kind: AnswerKind) -> Iterator[Found]:
    for match in MARKER.finditer(text):
        start, end = answer_span(text, match.end())
        yield text[start:end], (start, end)


def _short(text: str, kind: AnswerKind) -> Iterator[Found]:
    if len(text.split()) <= SHORT_REPLY and not list(kind.mentions(text)):
        yield text.strip(), (0, len(text))


def _mentioned(text: str, kind: AnswerKind) -> Iterator[Found]:
    for start, end in kind.mentions(text):
        yield text[start:end], (start, end)


MARKS = (_matches(BOXED), _matches(HASHES), _marked)
RULES = (_fields, *MARKS, _short, _mentioned)
