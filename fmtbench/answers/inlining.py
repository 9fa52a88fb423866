"""A JSON schema (2020-12) without references and with one way to say each thing, so that other code can walk it top down.

    inlined({"$ref": "#/$defs/Date", "$defs": {"Date": {"type": "string", "format": "date"}}})
    -> {"type": "string", "format": "date"}

What a record cannot be (recursion, references to elsewhere) is rejected here, with the path of the part at fault.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from fmtbench.errors import UserError

Fragment = dict[str, Any]
DEEPEST = 8
"""The most levels of objects and lists."""
NAMED = ("properties", "patternProperties", "dependentSchemas")
"""Keywords that hold schemas by name."""
LISTED = ("anyOf", "oneOf", "allOf", "prefixItems")
HELD = ("items", "additionalProperties", "not", "contains", "propertyNames", "if", "then", "else")


class SchemaError(UserError):
    """A schema that a record cannot have: the path of the part, and what is wrong with it."""


def inlined(schema: Mapping[str, Any]) -> Fragment:
    """The schema with each reference replaced by what it names. Raises `SchemaError`."""
    return _inlined(dict(schema), schema, "", ())


def at(path: str, problem: str) -> SchemaError:
    return SchemaError(f"{path or 'the schema'}: {problem}")


def below(path: str, name: str) -> str:
    """The path of a field: `address.city`, or `rates["unit.price"]` if the name itself contains path signs."""
    if set(name) & set(".[]"):
        return f"{path}[{json.dumps(name, ensure_ascii=False)}]"
    return f"{path}.{name}" if path else name


def inside(path: str) -> str:
    """The path of the elements of a list: `items[].price`."""
    return f"{path}[]"


def _inlined(fragment: Any, root: Mapping[str, Any], path: str, on_the_way: tuple[str, ...]) -> Any:
    if fragment is True:
        return {}
    if not isinstance(fragment, Mapping):
        raise at(path, f"{fragment!r} is no schema: give an object with a type")
    if "$dynamicRef" in fragment or "$recursiveRef" in fragment:
        raise at(path, "dynamic references are followed nowhere here: name the part in $defs, and refer to it with $ref")
    if "$ref" in fragment:
        reference = str(fragment["$ref"])
        if reference in on_the_way:
            raise at(path, f"{reference} holds itself: a record has a fixed depth, so write its levels out")
        beside = {name: held for name, held in fragment.items() if name != "$ref"}
        return _inlined({**_target(reference, root, path), **beside}, root, path, (*on_the_way, reference))
    return {
        name: _inside(name, held, root, path, on_the_way)
        for name, held in fragment.items()
        if name not in ("$defs", "definitions")
    }


def _inside(name: str, held: Any, root: Mapping[str, Any], path: str, on_the_way: tuple[str, ...]) -> Any:
    if name in NAMED and isinstance(held, Mapping):
        return {str(key): _inlined(one, root, below(path, str(key)), on_the_way) for key, one in held.items()}
    if name in LISTED and isinstance(held, Sequence) and not isinstance(held, str):
        return [_inlined(one, root, path, on_the_way) for one in held]
    if name in HELD and not isinstance(held, bool):
        return _inlined(held, root, inside(path) if name == "items" else path, on_the_way)
    return held


def _target(reference: str, root: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    if not reference.startswith("#"):
        raise at(path, f"$ref {reference} leads out of the file, and nothing is fetched: copy that part into $defs")
    found: Any = root
    for step in filter(None, reference[1:].split("/")):
        step = step.replace("~1", "/").replace("~0", "~")
        found = found.get(step) if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping):
        raise at(path, f"$ref {reference} names nothing in the schema")
    return found


def settled(fragment: Fragment, path: str) -> tuple[Fragment, bool]:
    """A fragment without `allOf` of one part and without null among its types, and whether null is allowed."""
    fragment, nullable = whole(fragment, path), False
    for name in ("anyOf", "oneOf"):
        if name in fragment:
            shapes = [one for one in fragment[name] if one.get("type") != "null"]
            nullable = nullable or len(shapes) < len(fragment[name])
            rest = {key: held for key, held in fragment.items() if key != name}
            fragment = {**rest, **shapes[0]} if len(shapes) == 1 else {**rest, "anyOf": shapes}
            fragment = whole(fragment, path)
    if isinstance(fragment.get("type"), list):
        types = [one for one in fragment["type"] if one != "null"]
        nullable = nullable or len(types) < len(fragment["type"])
        fragment = {**fragment, "type": types[0]} if len(types) == 1 else _several(fragment, types)
    if "enum" in fragment and None in fragment["enum"]:
        fragment, nullable = {**fragment, "enum": [one for one in fragment["enum"] if one is not None]}, True
    return fragment, nullable or fragment.get("type") == "null"


def whole(fragment: Fragment, path: str) -> Fragment:
    """A fragment with a one-part `allOf` merged into it."""
    while "allOf" in fragment:
        parts = fragment["allOf"]
        if len(parts) != 1:
            raise at(path, f"allOf of {len(parts)} parts: write them as one")
        fragment = {**parts[0], **{key: held for key, held in fragment.items() if key != "allOf"}}
    return fragment


def _several(fragment: Fragment, types: Sequence[str]) -> Fragment:
    rest = {key: held for key, held in fragment.items() if key != "type"}
    return {**rest, "anyOf": [{"type": one} for one in types]}


def depth(schema: Any) -> float:
    """Levels of objects and lists in plain data."""
    stack, deepest = [(schema, 0)], 0
    while stack:
        value, level = stack.pop()
        deepest = max(deepest, level)
        if level > 200:
            return math.inf
        held = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
        stack += [(one, level + 1) for one in held]
    return deepest
