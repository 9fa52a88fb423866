"""Grammars of formats other than JSON, for flat fields: each field's values as a regular expression, and all fields in order.

The same JSON schema that JSON is held to says what each field is, so that what is enforced differs in its spelling alone. A
format's reader takes whatever its grammar allows: a required field holds more than white space.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from fmtbench.decoding.grammar import regex
from fmtbench.decoding.records import FORMATS
from fmtbench.errors import UnaskableError
from fmtbench.formats.base import Layout
from fmtbench.types import Constraint

BLANKS = r"\x09-\x0D\x1C-\x20\x85\xA0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000"
"""What `str.strip` takes off, for use in a character class."""
TEXT_ONLY = frozenset({"type", "pattern", "format"})
PATTERNS = {pattern: pattern[1:-1] for pattern in FORMATS.values()}
"""Patterns of dates and the like, without anchors: none of them contains a sign of XML or YAML."""


@dataclass(frozen=True, kw_only=True)
class ValuePatterns:
    """How a format spells values, each as a pattern."""

    asked: str
    text: str
    """Any text that a field can hold, except white space alone."""
    rationale: str
    """The text of a part of the rationale."""
    null: str
    literal: Callable[[str], str]
    """One of a list of values."""
    field: Callable[[str, str], str]
    """A field with its name, from the pattern of its value. Raises `UnaskableError` for a name that the format cannot write."""


class FieldPattern(NamedTuple):
    pattern: str
    required: bool


def in_lines(spelling: ValuePatterns, layout: Layout, fields: Constraint) -> Constraint:
    """All fields in the schema's order, with a line break between them."""
    pieces = list(_pieces(spelling, layout, fields))
    first = next((place for place, one in enumerate(pieces) if one.required), None)
    if first is None:
        raise UnaskableError(
            f"asked={spelling.asked}, enforced=schema: {_no('all fields may be missing, and a reply is not empty')}"
        )
    before = "".join(f"({one.pattern}\\n)?" for one in pieces[:first])
    after = "".join(f"\\n{one.pattern}" if one.required else f"(\\n{one.pattern})?" for one in pieces[first + 1 :])
    return Constraint(kind="regex", source=f"{before}{pieces[first].pattern}{after}")


def _pieces(spelling: ValuePatterns, layout: Layout, fields: Constraint) -> Iterator[FieldPattern]:
    schema = json.loads(fields.source)
    for name, held in schema["properties"].items():
        value = spelling.rationale if name in layout.stages else _value(spelling, name, held)
        yield FieldPattern(spelling.field(name, value), name in schema.get("required", ()))


def _value(spelling: ValuePatterns, name: str, held: Mapping[str, Any]) -> str:
    """The pattern of a value. Raises `UnaskableError` for a value that the format cannot spell."""
    if "enum" in held or "const" in held:
        values = held.get("enum", [held.get("const")])
        return f"({'|'.join(_constant(spelling, one) for one in values)})"
    for shapes in ("anyOf", "oneOf"):
        if shapes in held:
            return f"({'|'.join(_value(spelling, name, one) for one in held[shapes])})"
    if isinstance(held.get("type"), list):
        return f"({'|'.join(_value(spelling, name, {**held, 'type': one}) for one in held['type'])})"
    if held.get("type") in ("number", "integer", "boolean"):
        return f"({regex(Constraint(kind='json_schema', source=json.dumps({'type': held['type']})))})"
    if held.get("type") == "null":
        return spelling.null
    if held.get("type") != "string":
        raise UnaskableError(f"asked={spelling.asked}, enforced=schema: {_no(f'{name!r} holds no single value')}")
    pattern = held.get("pattern") or FORMATS.get(held.get("format", ""), "")
    if held.keys() - TEXT_ONLY or (pattern not in PATTERNS and held.keys() & {"pattern", "format"}):
        keyword = next(iter(held.keys() - TEXT_ONLY), "pattern" if "pattern" in held else "format")
        raise UnaskableError(f"asked={spelling.asked}, enforced=schema: {_no(f'{name!r} has {keyword}')}")
    return f"({PATTERNS[pattern]})" if pattern else spelling.text


def _constant(spelling: ValuePatterns, value: Any) -> str:
    if value is None:
        return spelling.null
    return spelling.literal(value if isinstance(value, str) else json.dumps(value))


def _no(why: str) -> str:
    return f"{why}, of which there is no grammar but JSON's; leave out such conditions, or set asked=json"
