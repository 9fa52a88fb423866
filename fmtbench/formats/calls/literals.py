"""Python literals, read and never run: strings, numbers, True, False, None, and lists, tuples and dicts of them.

A scanner of our own instead of `ast.literal_eval`, because it tells the places of values, takes JSON's `true` and `null` as well,
and limits depth and length whatever it is given.
"""

from __future__ import annotations

import json
import re
from typing import Any

from fmtbench.types import whole

DEEPEST = 20
LONGEST = 32_000
"""The most characters of a text that is searched for calls."""
STRING = re.compile(r"[rRbBuUfF]?(?:\"(?P<double>(?:[^\"\\]|\\.)*+)\"|'(?P<single>(?:[^'\\]|\\.)*+)')", re.S)
NUMBER = re.compile(r"[-+]?(?:\d[\d_]*+(?:\.\d*+)?|\.\d++)(?:[eE][-+]?\d++)?(?![\w.])")
WORDS = {"True": "true", "False": "false", "None": None, "true": "true", "false": "false", "null": None}
WORD = re.compile(rf"(?:{'|'.join(WORDS)})\b")
SPACES = re.compile(r"[ \t\r\n]*+")
ESCAPE = re.compile(
    r"\\(?:u(?P<four>[\da-fA-F]{4})|U(?P<eight>[\da-fA-F]{8})|x(?P<two>[\da-fA-F]{2})|(?P<octal>[0-7]{1,3})|(?P<sign>.))", re.S
)
SIGNS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "a": "\a", "v": "\v", "\n": "", "/": "/"}
SIGNS |= {sign: sign for sign in "\\\"'"}
BRACKETS = {"[": "]", "(": ")", "{": "}"}

Value = tuple[Any, int]
"""What a literal holds, scalars as text, and where it ends."""


def literal_at(text: str, start: int, level: int = 0) -> Value | None:
    """The literal that begins here; None if none does."""
    for pattern in (STRING, NUMBER, WORD):
        if found := pattern.match(text, start):
            return _scalar(found), found.end()
    if level >= DEEPEST or text[start : start + 1] not in BRACKETS:
        return None
    return _mapping(text, start + 1, level + 1) if text[start] == "{" else _list(text, start, level + 1)


def unquoted(body: str) -> str:
    """The inside of a string with its escapes undone; one that Python does not know stands for itself."""
    text = ESCAPE.sub(_character, body)
    if any("\ud800" <= sign <= "\udfff" for sign in text):  # JSON spells such characters in halves
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole(text)[0]


def spaces(text: str, position: int) -> int:
    """The next place without white space."""
    found = SPACES.match(text, position)
    return found.end() if found else position


def _scalar(found: re.Match[str]) -> str | None:
    if found.re is WORD:
        return WORDS[found[0]]
    if found.re is NUMBER:
        return found[0].replace("_", "")
    body = found["double"] if found["double"] is not None else found["single"]
    return body if found[0][0] in "rR" else unquoted(body)


def _character(found: re.Match[str]) -> str:
    code = found["four"] or found["eight"] or found["two"]
    number = int(code, 16) if code else int(found["octal"], 8) if found["octal"] else -1
    if number > 0x10FFFF:
        return found[0]
    return chr(number) if number >= 0 else SIGNS.get(found["sign"], found[0])


def _list(text: str, start: int, level: int) -> Value | None:
    closing, found, position = BRACKETS[text[start]], list[Any](), spaces(text, start + 1)
    while not text.startswith(closing, position):
        one = literal_at(text, position, level)
        if one is None:
            return None
        found.append(one[0])
        following = _next(text, one[1], closing)
        if following is None:
            return None
        position = following
    return found, position + 1


def _mapping(text: str, start: int, level: int) -> Value | None:
    found, position = dict[str, Any](), spaces(text, start)
    while not text.startswith("}", position):
        key = literal_at(text, position, level)
        colon = spaces(text, key[1]) if key else len(text)
        if key is None or not isinstance(key[0], str) or not text.startswith(":", colon):
            return None
        one = literal_at(text, spaces(text, colon + 1), level)
        following = _next(text, one[1], "}") if one else None
        if one is None or following is None:
            return None
        found[key[0]], position = one[0], following
    return found, position + 1


def _next(text: str, position: int, closing: str) -> int | None:
    """The place of the next element or the closing bracket, past a comma."""
    position = spaces(text, position)
    if text.startswith(",", position):
        return spaces(text, position + 1)
    return position if text.startswith(closing, position) else None


def shown(value: Any) -> str:
    """A tree of texts as a literal; `json.dumps` writes strings that Python reads as the same."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name, ensure_ascii=False)}: {shown(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(shown, value)) + "]"
    return "None" if value is None else json.dumps(value, ensure_ascii=False)
