"""The content of a reply without its syntax: braces, keys, tags, headings and fences taken off, by one rule for all formats.

    {"reasoning": "7 + 5 is 12.", "answer": 12}    ->  7 + 5 is 12.
    Reasoning: 7 + 5 is 12.\\nThe answer is 12.     ->  7 + 5 is 12.

Used where replies in different formats are compared by their content (drift) or by their length (words of a rationale). The
syntax of every format is taken off every reply, whether it keeps its contract, breaks it, was cut or runs in a loop: if each
were stripped by its own reader, the difference could be the readers'. A rationale loses its final answer too, since two
replies with the same answer would look alike by that alone; `plain_reply` keeps it, for tasks whose replies are little else.
A rationale that stands where an answer is due ("Answer: Let us add ...") stays.

Nothing moves: what is taken off becomes blank, so a word's place in the result is its place in the reply.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from itertools import zip_longest

from fmtbench.formats import FORMATS
from fmtbench.formats.base import Syntax
from fmtbench.formats.blanks import FILLER, blank, filled, removed
from fmtbench.formats.names import NAMES
from fmtbench.formats.statements import STATED, answer_span, heads_rationale, lead
from fmtbench.formats.xml import ENTITY

FENCE = re.compile(r"(?:`{3}|~{3})(?:[ \t]{1,9}\w{1,20}(?=[ \t]{0,9}(?:\n|$))|\w{0,20})|\ufeff")
HEAD = re.compile(rf"{NAMES}\b[^>:\n]{{0,40}}[>:\n*#_ \t]*+", re.I)
"""The words that name an answer, up to where its content begins."""
INDENT = re.compile(r"^[ \t]+", re.M)
ROUNDS = 3
"""A label may follow another: "The reasoning is Total: ..."."""


def plain_rationale(text: str) -> str:
    """The rationale of a reply in plain words; empty if the reply is nothing but an answer."""
    return " ".join(words(rationale_left(text)))


def plain_reply(text: str) -> str:
    """The whole reply in plain words, its answer included."""
    return " ".join(words(_left(text, answers=True)))


def rationale_left(text: str) -> str:
    """The words of the rationale in their places, and blanks and fillers elsewhere: as long as the text."""
    return _left(text, answers=False)


def words(left: str) -> list[str]:
    """The words of what is left of a text."""
    return left.replace(FILLER, "").split()


def _left(text: str, answers: bool) -> str:
    left = FENCE.sub(_blank, text)
    left = next((found for one in FORMATS.values() if (found := one.unpack(left, answers)) is not None), left)
    left = INDENT.sub(_blank, ENTITY.sub(_entity, left))
    if not answers:
        left = _blanked(left, _answers(left))
        left = _blanked(left, _statements(left))
    left = _without_syntax(left)
    assert len(left) == len(text), "a format's unpack moves characters"
    return left


def _blank(match: re.Match[str]) -> str:
    return blank(match[0])


def _remove(match: re.Match[str]) -> str:
    return removed(match[0])


def _entity(match: re.Match[str]) -> str:
    return filled(html.unescape(match[0])[:1], len(match[0]))


def _answers(text: str) -> Iterator[tuple[int, int]]:
    """The answers of all formats."""
    for one in FORMATS.values():
        for match in one.syntax.answer.finditer(text) if one.syntax.answer and one.syntax.sign in text else ():
            named = HEAD.search(match[0])
            if named is None or not heads_rationale(match[0][named.end() :]):
                yield match.span()


def _statements(text: str) -> Iterator[tuple[int, int]]:
    """The sentences that state an answer."""
    found = list(STATED.finditer(text))
    for match, following in zip_longest(found, found[1:]):
        stop = max(following.start() if following else len(text), match.end())
        end = max(answer_span(text, match.end(), stop)[1], match.end())
        goes_on = following is not None and not text[end:stop].strip()
        if heads_rationale(text[match.end() : following.end() if following and goes_on else end]):
            end = match.end()
        yield lead(text, match.start()), end + text.startswith(".", end)


def _blanked(text: str, places: Iterator[tuple[int, int]]) -> str:
    kept, end = [], 0
    for start, stop in sorted(places):
        kept += [text[end:start], blank(text[max(start, end) : max(stop, end)])]
        end = max(stop, end)
    return "".join([*kept, text[end:]])


def _without_syntax(text: str) -> str:
    every: list[Syntax] = [one.syntax for one in FORMATS.values()]
    for tags in filter(None, (one.tags for one in every)):
        text = tags.sub(_blank, text)
    for lines in filter(None, (one.lines for one in every)):
        text = lines.sub(_blank, text)
    for _ in range(ROUNDS):
        before = text
        for heads in filter(None, (one.heads for one in every)):
            text = heads.sub(_blank, text)
        if text == before:
            break
    for inline in filter(None, (one.inline for one in every)):
        text = inline.sub(_remove, text)
    return text
