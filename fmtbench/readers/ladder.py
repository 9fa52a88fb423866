"""The ladder of object readers: what a parser forgives, one thing more at each step, before any reading of prose.

    bare          the whole text is a JSON object, as `json.loads` takes it
    unfenced      one Markdown fence around all of it is taken off
    in_prose      the object may stand in prose, fenced or not; of several the last that has an answer
    control       its strings may hold raw line breaks and tabs
    escapes       a backslash that begins no escape of JSON (`\\(`, `\\$`) stands for itself

Each step reads whatever the one before it reads, so a reply has one step: the first that finds an answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from fmtbench.formats import FORMATS
from fmtbench.formats.names import NAMED
from fmtbench.formats.structured import StructuredFormat, unfenced
from fmtbench.readers.reply import ends

FORGIVEN = ("fence", "prose", "control", "escapes")
TRIES = 200
"""The most opening braces that are tried as the beginning of an object."""
ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})|(?P<lone>\\)')
JSON = FORMATS["json"]
assert isinstance(JSON, StructuredFormat)
LANGUAGES = JSON.languages


class Rung(NamedTuple):
    """The first step at which an answer is found, and the answer as it was written; both None where none finds one."""

    step: str | None
    answer: str | None
    forgiven: tuple[str, ...] = ()
    """Which of `FORGIVEN` a reader has to forgive for it; a fence alone forbids nothing else."""


def _decoder(strict: bool) -> json.JSONDecoder:
    """Numbers stay as written."""
    return json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str, strict=strict)


STRICT, LENIENT = _decoder(True), _decoder(False)


def climb(text: str, names: re.Pattern[str] = NAMED) -> Rung:
    """The ladder's reading of a text. `names`: what the answer's key is called."""
    for step, objects in STEPS.items():
        for one in objects(text):
            answer = _answer(one, names)
            if answer is not None:
                return Rung(step, answer, _forgiven(text, step, names))
    return Rung(None, None)


def _answer(found: dict[str, Any], names: re.Pattern[str]) -> str | None:
    """The last scalar under a key that is named like the answer."""
    for key, value in reversed(found.items()):
        if names.fullmatch(key) and isinstance(value, str | bool) and str(value).strip():
            return value if isinstance(value, str) else json.dumps(value)
    return None


def _forgiven(text: str, step: str, names: re.Pattern[str]) -> tuple[str, ...]:
    """The fewest things that must be forgiven: for an object in prose with raw line breaks in it, both."""
    if step in ("bare", "unfenced"):
        return ("fence",) if step == "unfenced" else ()
    shown = _mended(ends(text)) if step == "escapes" else ends(text)
    for decoder in (STRICT, LENIENT):
        for prose in (False, True):
            objects = _anywhere(shown, decoder) if prose else _whole(unfenced(shown, LANGUAGES)[1], decoder)
            if any(_answer(one, names) is not None for one in objects):
                needed = (prose, decoder is LENIENT, step == "escapes")
                return tuple(name for name, needs in zip(FORGIVEN[1:], needed) if needs)
    raise AssertionError(step)


def _whole(text: str, decoder: json.JSONDecoder = STRICT) -> Iterator[dict[str, Any]]:
    try:
        value = decoder.decode(text)
    except (ValueError, RecursionError):
        return
    if isinstance(value, dict):
        yield value


def _unfenced(text: str) -> Iterator[dict[str, Any]]:
    return _whole(unfenced(text, LANGUAGES)[1])


def _anywhere(text: str, decoder: json.JSONDecoder) -> Iterator[dict[str, Any]]:
    """The objects in a text, the last first."""
    found, at = [], -1
    for _ in range(TRIES):
        at = text.find("{", at + 1)
        if at < 0:
            break
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            continue
        found.append(value)
        at = end - 1
    return reversed(found)


def leniently(text: str) -> Iterator[dict[str, Any]]:
    """The objects of the last step, the last first."""
    return _anywhere(_mended(ends(text)), LENIENT)


def _mended(text: str) -> str:
    return ESCAPE.sub(lambda one: r"\\" if one["lone"] else one[0], text)


STEPS: dict[str, Callable[[str], Iterator[dict[str, Any]]]] = {
    "bare": _whole,
    "unfenced": _unfenced,
    "in_prose": lambda text: _anywhere(ends(text), STRICT),
    "control": lambda text: _anywhere(ends(text), LENIENT),
    "escapes": leniently,
}
