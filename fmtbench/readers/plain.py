"""The content of a reply without its syntax: braces, keys, tags, headings and fences taken off, by one rule for all formats.

    {"reasoning": "7 + 5 is 12.", "answer": 12}    ->  7 + 5 is 12.
    Reasoning: 7 + 5 is 12.\\nThe answer is 12.     ->  7 + 5 is 12.

Used where replies of different formats are compared by their content (drift): were each format stripped by its own
reader, the difference could be the readers'. From a rationale the final answer is left out too, since two replies with
the same answer would look alike by that alone; `plain_reply` keeps it, for tasks whose replies are little else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from fmtbench.formats.fence import unfenced
from fmtbench.formats.text import MARKER, answer_span
from fmtbench.readers.marks import NAMES

ANSWER_NAME = re.compile(NAMES, re.I)
JSON_KEY = re.compile(r'[{,]\s*"((?:[^"\\]|\\.)*)"\s*:\s*')
JSON_SCALAR = re.compile(r'"((?:[^"\\]|\\.)*)"?|[^\s,{}\[\]"]+')
ANSWER_ELEMENT = re.compile(rf"<({NAMES})>.*?(?:</\1>|$)", re.I | re.S)
ANSWER_LINE = re.compile(rf"^[ \t>*_-]*{NAMES}[*_]*[ \t]*:.*$", re.I | re.M)
ANSWER_SECTION = re.compile(rf"^#+[ \t]*[*_]*{NAMES}\b[^\n]*\n.*?(?=^#|\Z)", re.I | re.M | re.S)
MARKED = re.compile(r"####[ \t]*\S.*|\\boxed\s*\{(?:[^{}]|\{[^{}]*\})*\}")
TAG = re.compile(r"</?[A-Za-z][\w.-]*\s*/?>")
FENCE = re.compile(r"```\w*")
HEADING = re.compile(r"^#{1,6}[ \t].*$", re.M)
LINE_HEAD = re.compile(
    r"^[ \t]*(?:[-*+>][ \t]+)?(?:[*_]{0,2}[A-Za-z][\w-]*[*_]{0,2}[ \t]*:[*_]{0,2}(?:[ \t]*[|>][+-]?)?(?=\s|$))?", re.M
)
PROSE_FIELD = re.compile(
    r"(?:^|(?<=[.!?\n] ))[ \t]*The (?:reasoning|rationale|thoughts?|phenomenon|observation|conclusion) is\b:?", re.M
)
EMPHASIS = re.compile(r"\*{2,}|__+|`+")
ANSWERS = (ANSWER_SECTION, ANSWER_ELEMENT, ANSWER_LINE, MARKED)
SYNTAX = (HEADING, LINE_HEAD, PROSE_FIELD, EMPHASIS)


def plain_rationale(text: str) -> str:
    """The rationale of a reply in plain words; empty where it is nothing but an answer."""
    return _plain(text, answers=False)


def plain_reply(text: str) -> str:
    """The whole reply in plain words, its answer among them."""
    return _plain(text, answers=True)


def _plain(text: str, answers: bool) -> str:
    body = unfenced(text, "json", "yaml", "yml", "xml", "markdown", "md")[1]
    start = body.find("{")
    if start >= 0 and JSON_KEY.search(body, start):
        body = "\n".join([body[:start], *_json_values(body[start:], answers)])
    elif not answers:
        for pattern in ANSWERS:
            body = pattern.sub("", body)
    body = TAG.sub("\n", FENCE.sub("", body if answers else _without_answer_sentence(body)))
    for pattern in SYNTAX:
        body = pattern.sub("", body)
    return " ".join(body.split())


def _without_answer_sentence(text: str) -> str:
    for marker in reversed(list(MARKER.finditer(text))):
        text = text[: marker.start()] + text[answer_span(text, marker.end())[1] :].lstrip(".")
    return text


def _json_values(text: str, answers: bool) -> Iterator[str]:
    """Values in order, those under an answer's name where they are wanted; of a damaged or cut object what can be told."""
    try:
        value, end = json.JSONDecoder(strict=False).raw_decode(text)
    except (ValueError, RecursionError):
        yield from _damaged_values(text, answers)
        return
    yield from _leaves(value, answers)
    yield text[end:]


def _leaves(value: Any, answers: bool) -> Iterator[str]:
    if isinstance(value, dict):
        for key, child in value.items():
            if answers or not ANSWER_NAME.fullmatch(key):
                yield from _leaves(child, answers)
    elif isinstance(value, list):
        for child in value:
            yield from _leaves(child, answers)
    elif value is not None:
        yield str(value)


def _damaged_values(text: str, answers: bool) -> Iterator[str]:
    for key in JSON_KEY.finditer(text):
        value = JSON_SCALAR.match(text, key.end())
        if value and (answers or not ANSWER_NAME.fullmatch(key[1])):
            body = value[0] if value[1] is None else value[1]
            yield body.replace("\\n", "\n").replace('\\"', '"')
