"""The realised order of a reply: did the answer come first, or the rationale?

    {"answer": 5, "reasoning": "2 + 3 is 5."}             answer_first      by the place of the keys
    [No] 91 is 7 times 13, so it is not a prime.          answer_first      by the words around the statement
    2 + 3 is 5, as anyone can check. The answer is 5.     reasoning_first
    [No]                                                  answer_only
    (no answer, or one in the middle of its rationale)    None

A condition's order is what the prompt asks for; this is what came. If several statements give the same answer, one that
opens the reply decides, since everything after it was written with the answer in view.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fmtbench.answers import AnswerKind
from fmtbench.formats import FORMATS
from fmtbench.formats.base import Order
from fmtbench.formats.names import NAMED
from fmtbench.formats.structured import Part, StructuredFormat
from fmtbench.readers.ladder import leniently
from fmtbench.readers.marks import statements
from fmtbench.readers.plain import words
from fmtbench.readers.reply import ends, place_in_whole, reply_place

FEWEST = 5
"""The fewest words of a rationale: fewer are a greeting."""
SIDE = 0.25
"""The share of the rationale's words that may stand on the other side of the answer."""
Place = tuple[int, int]


def realised_order(
    text: str, kind: AnswerKind, answer: tuple[str, Place] | None, left: str, stated: Sequence[tuple[str, Place]] = ()
) -> Order | None:
    """`answer`: what a reader found, and where; `left`: the text with all blanked out but its rationale (`rationale_left`);
    `stated`: further places that state an answer, such as those of a study's own mark. None where it cannot be told."""
    if answer is None:
        return None
    start, end = reply_place(text, kind)
    found = _by_keys(text[start:end])
    if found is not None:
        return found
    held, place = answer
    if len(words(left[: place[0]])) + len(words(left[place[1] :])) < FEWEST:
        return "answer_only"
    canonical = kind.canon(held)
    again = [where for said, where in (*stated, *_stated(text[start:end], start, kind)) if kind.canon(said) == canonical]
    if any(_side(left, where) == "answer_first" for where in again):
        return "answer_first"
    return _side(left, place)


def _by_keys(reply: str) -> Order | None:
    """By the keys of a reply that is one object, mapping, row of elements or of sections, or of an object of JSON in prose or
    with strings that hold what they must not; None for any other."""
    for written in (one for one in FORMATS.values() if isinstance(one, StructuredFormat)):
        parts = written.parts(reply, None) or []
        if any(_named(part) for part in parts):
            return _by_parts(parts)
    objects = ([Part(name, _written(held), (0, 0)) for name, held in one.items()] for one in leniently(reply))
    return next((_by_parts(parts) for parts in objects if any(map(_named, parts))), None)


def _written(held: Any) -> str:
    return "" if held is None else str(held)


def _by_parts(parts: Sequence[Part]) -> Order | None:
    answers = [place for place, part in enumerate(parts) if _named(part)]
    others = [place for place, part in enumerate(parts) if not _named(part) and (part.written is None or part.written.strip())]
    if not others:
        return None if len(parts) == 1 else "answer_only"
    if max(answers) < min(others):
        return "answer_first"
    return "reasoning_first" if min(answers) > max(others) else None


def _named(part: Part) -> bool:
    return NAMED.fullmatch(part.name) is not None


def _stated(reply: str, start: int, kind: AnswerKind) -> Iterator[tuple[str, Place]]:
    """What any mark states, with its place in the text."""
    for one in statements(ends(reply), kind):
        low, high = place_in_whole(one.span, len(reply))
        yield one.answer, (start + low, start + high)


def _side(left: str, place: Place) -> Order | None:
    before, after = len(words(left[: place[0]])), len(words(left[place[1] :]))
    if before <= SIDE * (before + after):
        return "answer_first"
    return "reasoning_first" if after <= SIDE * (before + after) else None
