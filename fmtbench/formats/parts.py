"""Which part of a reply each character belongs to, even if the reply was cut: every format says so in `divide`.

{"reasoning": "9 * 2 = 18", "answer": 18}
..kkkkkkkkk..._rrrrrrrrrr.._.kkkkkk._aa.        k key, r reasoning, a answer, _ white space, . scaffold
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

PartName = Literal["scaffold", "key", "whitespace", "reasoning", "answer", "end"]
"""`scaffold` is what a format writes around its fields; `end` is the part of a token that writes nothing."""
PARTS: tuple[PartName, ...] = get_args(PartName)
Place = tuple[int, int]


def around(text: str) -> list[PartName]:
    """The parts of a text before any field is known: white space and scaffold."""
    return ["whitespace" if character.isspace() else "scaffold" for character in text]


def fill(parts: list[PartName], places: Iterable[Place], part: PartName) -> None:
    """Assign the characters at these places to a part."""
    for start, end in places:
        parts[start:end] = [part] * (end - start)


def stripped(text: str, start: int, end: int) -> Place:
    """A place without the white space at its ends."""
    held = text[start:end]
    start += len(held) - len(held.lstrip())
    return start, start + len(held.strip())
