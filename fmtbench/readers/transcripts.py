"""Reading other people's transcripts, whose prompts we do not know: a contract of no particular field names.

Strict for text: the answer stands behind a mark that published prompts ask for ("The answer is", "Answer:", `####`,
`\\boxed{}`, 정답은). Strict for JSON, YAML, XML and Markdown: the whole reply is one object, mapping, row of elements or of
sections (a fence around it is fine) with exactly one part that is named like an answer and holds a scalar.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

import yaml

from fmtbench.formats.fence import unfenced
from fmtbench.formats.json import parse_object
from fmtbench.formats.markdown import parse_sections
from fmtbench.formats.xml import parse_elements, unwrapped
from fmtbench.formats.yaml import parse_mapping
from fmtbench.readers.failure import name_failure
from fmtbench.readers.marks import NAMES, marks
from fmtbench.types import Extraction, Generation

Format = Literal["text", "json", "yaml", "xml", "markdown"]
NAMED = re.compile(NAMES, re.I)


class Part(NamedTuple):
    """One field, element or section."""

    name: str
    written: str | None
    """None where it holds no scalar."""
    span: tuple[int, int]


def read_transcript(generation: Generation, written: Format) -> Extraction:
    """Locate the answer by the format's usual contract, and name the status."""
    found = _read_text(generation.text) if written == "text" else _read_parts(generation.text, written)
    status = name_failure(found, generation)
    return found if status == "ok" else Extraction(status=status)


def guess_format(text: str) -> Format:
    """The structured format whose contract a reply keeps; text where it keeps none."""
    kept: tuple[Format, ...] = ("json", "xml", "yaml", "markdown")
    return next((written for written in kept if _read_parts(text, written).status == "ok"), "text")


def _read_text(text: str) -> Extraction:
    marked = [(span, answer) for answer, span in marks(text) if answer.strip()]
    if not marked:
        return Extraction(status="invalid_format" if text.strip() else "no_answer")
    span, answer = marked[-1]
    return Extraction(status="ok", answer=answer, span=span)


def _read_parts(text: str, written: Format) -> Extraction:
    parse, languages = PARSERS[written]
    offset, body = unfenced(text, *languages)
    parts = parse(body)
    if parts is None:
        return Extraction(status="invalid_format" if text.strip() else "no_answer")
    answers = [part for part in parts if NAMED.fullmatch(part.name)]
    if len(answers) != 1 or answers[0].written is None:
        return Extraction(status="schema_violation")
    (answer,) = answers
    if not answers[0].written.strip():
        return Extraction(status="no_answer")
    return Extraction(status="ok", answer=answer.written, span=(answer.span[0] + offset, answer.span[1] + offset))


def _json(body: str) -> list[Part] | None:
    members = parse_object(body)
    if members is None:
        return None
    written = [None if isinstance(m.value, dict | list) else "" if m.value is None else m.written(body) for m in members]
    return [Part(member.key, text, (member.start, member.end)) for member, text in zip(members, written)]


def _yaml(body: str) -> list[Part] | None:
    members = parse_mapping(body)
    if members is None:
        return None
    written = [_scalar(value) for _, value in members]
    spans = [(value.start_mark.index, value.end_mark.index) for _, value in members]
    return [Part(str(key.value), text, span) for (key, _), text, span in zip(members, written, spans)]


def _scalar(node: yaml.Node) -> str | None:
    if not isinstance(node, yaml.ScalarNode):
        return None
    return "" if node.tag == "tag:yaml.org,2002:null" else str(node.value)


def _xml(body: str) -> list[Part] | None:
    elements = parse_elements(body)
    if elements is None:
        return None
    elements = unwrapped(elements, body, NAMED)
    written = [None if parse_elements(body[e.start : e.end]) else e.written(body) for e in elements]
    return [Part(element.name, text, (element.start, element.end)) for element, text in zip(elements, written)]


def _markdown(body: str) -> list[Part] | None:
    sections = parse_sections(body)
    if sections is None:
        return None
    paragraph = [None if re.search(r"\n[ \t]*\n", body[start:end]) else body[start:end] for _, start, end in sections]
    return [Part(name, text, (start, end)) for (name, start, end), text in zip(sections, paragraph)]


PARSERS: dict[str, tuple[Callable[[str], list[Part] | None], tuple[str, ...]]] = {
    "json": (_json, ("json",)),
    "yaml": (_yaml, ("yaml", "yml")),
    "xml": (_xml, ("xml",)),
    "markdown": (_markdown, ("markdown", "md")),
}
