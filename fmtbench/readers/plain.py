"""The content of a reply without its syntax: braces, keys, tags, headings and fences taken off, by one rule for all formats.

    {"reasoning": "7 + 5 is 12.", "answer": 12}    ->  7 + 5 is 12.
    Reasoning: 7 + 5 is 12.\\nThe answer is 12.     ->  7 + 5 is 12.

Used where replies in different formats are compared by their content (drift). The syntax of every format is taken off every
reply: if each were stripped by its own reader alone, the difference could be the readers'. A rationale loses its final answer
too, since two replies with the same answer would look alike by that alone; `plain_reply` keeps it, for tasks whose replies
are little else.
"""

from __future__ import annotations

import re

from fmtbench.formats import FORMATS
from fmtbench.formats.structured import StructuredFormat, unfenced
from fmtbench.formats.text import without_statement

FENCE = re.compile(r"```\w*")


def plain_rationale(text: str) -> str:
    """The rationale of a reply in plain words; empty where it is nothing but an answer."""
    return _plain(text, answers=False)


def plain_reply(text: str) -> str:
    """The whole reply in plain words, its answer among them."""
    return _plain(text, answers=True)


def _plain(text: str, answers: bool) -> str:
    languages = [name for one in FORMATS.values() if isinstance(one, StructuredFormat) for name in one.languages]
    body = unfenced(text, languages)[1]
    unpacked = next((words for one in FORMATS.values() if (words := one.unpack(body, answers)) is not None), None)
    if unpacked is not None:
        body = unpacked
    elif not answers:
        body = _without_answers(body)
    if not answers:
        body = without_statement(body)
    return " ".join(_without_syntax(FENCE.sub("", body)).split())


def _without_answers(text: str) -> str:
    """The text without the answer of any format; where two overlap, both go."""
    patterns = [one.syntax.answer for one in FORMATS.values() if one.syntax.answer]
    kept, end = [], 0
    for start, stop in sorted(match.span() for pattern in patterns for match in pattern.finditer(text)):
        kept.append(text[end : max(start, end)])
        end = max(stop, end)
    return "".join([*kept, text[end:]])


def _without_syntax(text: str) -> str:
    every = [one.syntax for one in FORMATS.values()]
    for tags in filter(None, (one.tags for one in every)):
        text = tags.sub("\n", text)
    for lines in filter(None, (one.lines for one in every)):
        text = lines.sub("", text)
    for heads in filter(None, (one.heads for one in every)):
        text = heads.sub("", text)
    for inline in filter(None, (one.inline for one in every)):
        text = inline.sub("", text)
    return text
