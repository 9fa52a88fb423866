"""The parts of a JSON object that may be cut anywhere, by its tokens: nothing is parsed, so nothing can fail to parse."""

from __future__ import annotations

import re

from fmtbench.formats.parts import PartName, around, fill

TOKEN = re.compile(r'(?P<string>"(?:[^"\\]|\\.?)*+"?)|(?P<sign>[{}\[\],:])|(?P<bare>[^\s{}\[\],:"]+)', re.S)
CLOSED = re.compile(r'"(?:[^"\\]|\\.)*+"', re.S)


def divide_object(text: str, answer: str) -> list[PartName]:
    """The part of each character, with `answer` as the key of the answer and all other values as rationale.

    What stands around the object is scaffold; a reply without an object is all rationale.
    """
    parts = around(text)
    begins = text.find("{")
    if begins < 0:
        fill(parts, [(0, len(text))], "reasoning")
        return parts
    walk = _Walk(answer)
    for token in TOKEN.finditer(text, begins):
        start, end = token.span()
        if token["sign"]:
            walk.sign(token["sign"])
        elif token["string"]:
            inside = (start + 1, end - bool(CLOSED.fullmatch(token["string"])))
            fill(parts, [inside], walk.string(text[slice(*inside)]))
        elif walk.value:
            fill(parts, [(start, end)], walk.part)
    return parts


class _Walk:
    """Where in an object the next token stands."""

    def __init__(self, answer: str) -> None:
        self._answer, self._key = answer, ""
        self._open: list[str] = []
        self.value = False
        """Whether a value comes next, and not a key."""

    @property
    def part(self) -> PartName:
        """Of a value under the last key."""
        return "answer" if self._key == self._answer else "reasoning"

    def string(self, held: str) -> PartName:
        if self.value:
            return self.part
        self._key = held
        return "key"

    def sign(self, sign: str) -> None:
        if sign in "{[":
            self._open.append(sign)
        elif sign in "}]":
            del self._open[-1:]
        self.value = sign == ":" or (sign in "[,]}" and self._open[-1:] == ["["])
