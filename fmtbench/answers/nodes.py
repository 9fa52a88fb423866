"""What a JSON schema says of a record, as a tree: each leaf with the answer kind that reads it.

    number, integer          Number                      enum, const        Label (exact text where labels look alike)
    boolean                  YesNo                       format: date       Date
    string                   Text: case and signs do not matter
    string with a pattern or another format              Verbatim: exact text
    array                    a list in its order; a set with `uniqueItems`
    object without properties, array without items, nothing, or a choice with objects or with arrays: JsonValue, as a whole

The schema's own keyword `x-compare` overrides this: exact, normalised, date, number, set or sequence. No decoder is shown it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import fmtbench.answers.spelling as spelling
from fmtbench.answers.base import AnswerKind
from fmtbench.answers.date import Date
from fmtbench.answers.inlining import DEEPEST, Fragment, at, below, inside, settled
from fmtbench.answers.json_value import JsonValue
from fmtbench.answers.number import Number
from fmtbench.answers.verbatim import Verbatim
from fmtbench.answers.words import Label, Text
from fmtbench.answers.yes_no import YesNo

NESTED = ("object", "array")
WORDS = ("title", "description", "default", "examples", "$comment", "$schema", "$id", "deprecated", "readOnly", "writeOnly")
"""Keywords that neither allow nor forbid anything."""
MOST_LABELS = 1000
MOST_SHAPES = 8
COMPARE = "x-compare"
COMPARED: dict[str, AnswerKind] = {"exact": Verbatim(), "normalised": Text(), "date": Date(), "number": Number()}
ORDERS = ("set", "sequence")
SCALARS: dict[str, AnswerKind] = {"number": Number(), "integer": Number(), "boolean": YesNo(), "string": Text()}


@dataclass(frozen=True, kw_only=True)
class Node:
    """A part of a record: a scalar with its kind, an object with members, or a list with an element."""

    schema: Fragment
    kind: AnswerKind | None = None
    members: dict[str, Node] = field(default_factory=dict)
    element: Node | None = None
    required: bool = True
    nullable: bool = False
    ordered: bool = True
    """Whether a list is compared in its order."""

    @property
    def description(self) -> str:
        return " ".join(str(self.schema.get("description", "")).split())

    @property
    def type(self) -> str:
        return str(self.schema.get("type", ""))


def node(fragment: Fragment, path: str = "", required: bool = True, level: int = 0) -> Node:
    """The tree of an inlined schema. Raises `SchemaError` for anything that a record cannot hold."""
    fragment, nullable = settled(fragment, path)
    if level > DEEPEST:
        raise at(path, f"it lies more than {DEEPEST} levels deep")
    shared: dict[str, Any] = {"schema": fragment, "required": required, "nullable": nullable}
    if fragment.get("properties"):
        return Node(**shared, members=_members(fragment, path, level))
    if _is_open(fragment):
        return Node(**shared, kind=JsonValue())
    if fragment.get("type") == "array":
        element = node(fragment["items"], inside(path), True, level + 1)
        return Node(**shared, element=element, ordered=_ordered(fragment, path))
    return Node(**shared, kind=_kind(fragment, path))


def _is_open(fragment: Fragment) -> bool:
    """Whether it does not say what it holds, or leaves a choice of objects and lists: then it is judged as a whole."""
    if "anyOf" in fragment:
        sorts = {str(one.get("type")) for one in fragment["anyOf"]}
        return bool(sorts & set(NESTED)) and sorts <= {*SCALARS, *NESTED} and not sorts >= set(NESTED) and COMPARE not in fragment
    if fragment.get("type") == "array":
        items = fragment.get("items")
        return not isinstance(items, dict) or not items or "prefixItems" in fragment
    return fragment.get("type") == "object" or not [name for name in fragment if name not in WORDS]


def _members(fragment: Fragment, path: str, level: int) -> dict[str, Node]:
    properties, required = fragment["properties"], fragment.get("required", [])
    if absent := [name for name in required if name not in properties]:
        raise at(path, f"required names {absent[0]!r}, which is no property")
    for name in properties:
        if not name.strip() or name == "[]" or set(name) & set("\n\r\0"):
            raise at(path, f"the property {name!r} has a name that no line can hold: leave out line breaks, and give it a letter")
    alike = {spelling.squeeze(name) or name: name for name in properties}
    if twins := [name for name in properties if alike[spelling.squeeze(name) or name] != name]:
        other = alike[spelling.squeeze(twins[0]) or twins[0]]
        raise at(path, f"the properties {twins[0]!r} and {other!r} are read as the same: rename one")
    return {name: node(held, below(path, name), name in required, level + 1) for name, held in properties.items()}


def _ordered(fragment: Fragment, path: str) -> bool:
    order = fragment.get(COMPARE, "set" if fragment.get("uniqueItems") else "sequence")
    if order not in ORDERS:
        raise at(path, f"{COMPARE}={order!r}: of an array it is {' or '.join(ORDERS)}")
    return bool(order == "sequence")


def _kind(fragment: Fragment, path: str) -> AnswerKind:
    if COMPARE in fragment:
        if fragment[COMPARE] not in COMPARED:
            raise at(
                path, f"{COMPARE}={fragment[COMPARE]!r}: give one of {', '.join(COMPARED)}, or of an array {', '.join(ORDERS)}"
            )
        return COMPARED[fragment[COMPARE]]
    if "enum" in fragment or "const" in fragment:
        return _label(fragment.get("enum", [fragment.get("const")]), path)
    if "anyOf" in fragment:
        return _of_shapes(fragment["anyOf"], path)
    if fragment.get("type") == "string":
        if fragment.get("format") == "date":
            return Date()
        return Verbatim() if "pattern" in fragment or "format" in fragment else Text()
    if fragment.get("type") not in SCALARS:
        raise at(path, f"type is {fragment.get('type')!r}: give one of object, array, {', '.join(SCALARS)}")
    return SCALARS[str(fragment["type"])]


def _label(values: Any, path: str) -> AnswerKind:
    if not isinstance(values, list) or not values or any(isinstance(one, dict | list) for one in values):
        raise at(path, "enum must list at least one text, number or truth value")
    if len(values) > MOST_LABELS:
        raise at(path, f"enum has {len(values)} values, at most {MOST_LABELS}: every condition has to name them all")
    labels = tuple(map(text_of, values))
    return Label(labels=labels) if len({spelling.squeeze(one) for one in labels} - {""}) == len(labels) else Verbatim()


def _of_shapes(shapes: list[Fragment], path: str) -> AnswerKind:
    """The kind for a choice of scalars: a number if one of them is, as for pydantic's Decimal, a number or its text."""
    types = {str(one.get("type")) for one in shapes}
    if not types <= set(SCALARS) or len(shapes) > MOST_SHAPES:
        raise at(path, f"anyOf of {len(shapes)} shapes ({', '.join(sorted(types))}): a field of a record has one; choose it")
    return Number() if types & {"number", "integer"} else Text()


def placeholder(leaf: Node) -> str:
    """What stands for a leaf where a contract shows the form of a record."""
    if leaf.kind is None or isinstance(leaf.kind, Text | Verbatim):
        return "<text>"
    return "<true or false>" if isinstance(leaf.kind, YesNo) else leaf.kind.placeholder()


def levels(tree: Node) -> int:
    """The number of objects and lists around the deepest leaf."""
    inner = [*tree.members.values(), *filter(None, [tree.element])]
    return 1 + max(map(levels, inner)) if inner else 0


def text_of(value: Any) -> str:
    """A JSON scalar as text, as every format writes it."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e16:
        return str(int(value))
    return json.dumps(value)


def leaves(tree: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """Every leaf with its path, in the schema's order; a list of scalars is one leaf."""
    if tree.members:
        for name, member in tree.members.items():
            yield from leaves(member, below(path, name))
    elif tree.element and (tree.element.members or tree.element.element):
        yield from leaves(tree.element, inside(path))
    else:
        yield path, tree
