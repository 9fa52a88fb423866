"""From a user's schema to what a decoder compiles: structure alone, and nothing that Outlines gets wrong.

outlines_core 0.2.14 writes a `format` without quotation marks, which is no JSON; here it becomes a pattern. What it ignores is
found by trying: a keyword without which the same grammar comes out has no effect.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from fmtbench.decoding.grammar import regex
from fmtbench.errors import DecoderError
from fmtbench.types import Constraint

FORMATS = {
    "date": r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$",
    "time": r"^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})?$",
    "date-time": r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})?$",
    "uuid": r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
}
"""Formats as patterns; the others are ignored."""
WORDS = ("title", "description", "default", "examples", "$schema", "$id", "$comment", "deprecated", "readOnly", "writeOnly")
ALWAYS = ("type", "properties", "items", "required", "enum", "const", "anyOf", "oneOf", "allOf", "additionalProperties")
"""Keywords that are structure, and never ignored."""


def decodable(schema: Any) -> Any:
    """An inlined schema as a decoder gets it: without descriptions, our own keywords, and keys that are not listed."""
    if isinstance(schema, list):
        return [decodable(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    kept = {name: held for name, held in schema.items() if name not in WORDS and not name.startswith("x-")}
    made = {name: held if name in ("enum", "const", "required") else _inside(name, held) for name, held in kept.items()}
    form = made.pop("format", None)
    if form in FORMATS and "pattern" not in made:
        made["pattern"] = FORMATS[form]
    return made | {"additionalProperties": False} if made.get("properties") else made


def _inside(name: str, held: Any) -> Any:
    return {key: decodable(one) for key, one in held.items()} if name in ("properties", "patternProperties") else decodable(held)


def ignored(schema: Mapping[str, Any]) -> list[str]:
    """The parts of an inlined schema that Outlines ignores, such as `total: minimum`, in the schema's order."""
    return list(dict.fromkeys(_ignored(schema, "")))


def _ignored(schema: Any, path: str) -> Iterator[str]:
    if not isinstance(schema, Mapping):
        return
    for name in schema:
        if name not in ALWAYS and name not in WORDS and not name.startswith("x-") and _without_effect(schema, name):
            yield f"{path or 'the record'}: {name}{f' {schema[name]}' if name == 'format' else ''}"
    for name, held in schema.get("properties", {}).items():
        yield from _ignored(held, f"{path}.{name}" if path else name)
    yield from _ignored(schema.get("items"), f"{path}[]")
    for shape in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from _ignored(shape, path)


def _without_effect(schema: Mapping[str, Any], name: str) -> bool:
    less = {key: held for key, held in schema.items() if key != name}
    return _grammar(schema) == _grammar(less)


def _grammar(schema: Mapping[str, Any]) -> str:
    """The pattern of a fragment; the reason where there is none."""
    try:
        return regex(Constraint(kind="json_schema", source=json.dumps(decodable(schema))))
    except DecoderError as error:
        return f"none: {error}"
