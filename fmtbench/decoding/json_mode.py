"""JSON mode: any object, whatever its keys; and the white space between the tokens of JSON."""

from __future__ import annotations

import re
from functools import cache
from typing import Literal

from fmtbench.decoding.grammar import WHITESPACE
from fmtbench.decoding.whitespace import is_spaced, respaced
from fmtbench.types import Constraint

STRING = r'"([^"\\\x00-\x1F\x7F-\x9F]|\\["\\/bfnrt])*"'
SCALAR = rf"({STRING}|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?|true|false|null)"
DEPTH = 2
"""Levels of objects and lists in JSON mode. The contracts need one; a third has four times as many states."""
DEEPEST = 4
"""For records that need more. JSON mode cannot hold a record of five levels."""
BETWEEN = re.compile(r'"(?:[^"\\]|\\.)*+"|(\s+)', re.S)

Realised = Literal["none", "one space", "pretty", "free"]
"""White space as it stands in a reply."""


@cache
def any_object(depth: int = DEPTH) -> Constraint:
    """Any JSON object: JSON mode. A regular expression has to end somewhere, so nesting does."""
    return Constraint(kind="regex", source=_object(depth))


def _object(depth: int) -> str:
    return _listed(r"\{", f"{STRING}{WHITESPACE}:{WHITESPACE}{_value(depth - 1)}", r"\}")


def _value(depth: int) -> str:
    if depth == 0:
        return SCALAR
    items = _listed(r"\[", _value(depth - 1), r"\]")
    return f"({SCALAR}|{_object(depth)}|{items})"


def _listed(opening: str, member: str, closing: str) -> str:
    more = f"({WHITESPACE},{WHITESPACE}{member})*"
    return f"{opening}{WHITESPACE}({member}{more}{WHITESPACE})?{closing}"


def held_to_object(constraint: Constraint) -> bool:
    """Whether nothing but a JSON object is allowed."""
    whole = constraint.kind == "json_schema" or is_spaced(constraint)
    return whole or constraint in map(any_object, range(DEPTH, DEEPEST + 1))


def realised(text: str, constraint: Constraint) -> Realised:
    """The white space of a reply that was held to an object. Pretty-printed is told from free where the grammar has a white space
    of its own; elsewhere both are free, as they are in manifests that were written before there were such grammars."""
    own = is_spaced(constraint) and "\n" in text and text.strip() == respaced(text, "pretty")
    return "pretty" if own else whitespace(text)


def whitespace(text: str) -> Realised:
    """What stands between the tokens of a JSON text: nothing, at most one space (as our grammars allow), or anything."""
    found = {match[1] for match in BETWEEN.finditer(text.strip()) if match[1]}
    return "none" if not found else "one space" if found == {" "} else "free"
