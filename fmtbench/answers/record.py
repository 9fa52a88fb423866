"""A record as an answer: an object with named fields, described by a user's JSON schema.

    Record(source='{"type": "object", "properties": {"vendor": {"type": "string"}, "total": {"type": "number"}}}')

Gold is the object as JSON text, and so is what a reader locates, with leaves as the model wrote them. Each leaf is judged by its
own answer kind (`nodes.py`), so a record asked for in prose, JSON, YAML, XML or Markdown gets one verdict.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from typing import Any

import jsonschema
from pydantic.dataclasses import dataclass

from fmtbench.answers.arranging import Arrangement, arranged
from fmtbench.answers.base import STRICT, AnswerKind
from fmtbench.answers.held import GOOD, Value, Verdict, held, in_order, typed, verdict
from fmtbench.answers.inlining import SchemaError, at, depth, inlined, whole
from fmtbench.answers.json_value import JsonValue
from fmtbench.answers.nodes import Node, leaves, node, placeholder
from fmtbench.answers.words import Label
from fmtbench.errors import UserError
from fmtbench.time_limit import time_limit

MOST_LEAVES = 200
VALUE = "value"
"""The field that holds the whole value if the schema is not one of an object with properties."""
SECONDS = 1.0
"""The most processor time that validating a record may take: a pattern that backtracks without end would take years."""
CHECKED = jsonschema.FormatChecker(formats=["date"])


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Record(AnswerKind):
    """An object whose fields a JSON schema lists, or any other value as the one field of an object. Its `tree` raises
    `SchemaError` for a schema that no record can have."""

    source: str
    """The schema as JSON text."""

    @property
    def schema(self) -> dict[str, Any]:
        """The schema without references."""
        return _parsed(self.source)[0]

    @property
    def tree(self) -> Node:
        return _parsed(self.source)[1]

    @property
    def wrapped(self) -> bool:
        """Whether the schema is that of a list, a scalar or an object without properties, which is put into a field `VALUE`."""
        return _parsed(self.source)[2]

    def arranged(self, how: Arrangement) -> Record:
        """The record with its schema in another arrangement: the same leaves."""
        return self if how.plain else _arranged(self.source, how)

    @cached_property
    def leaves(self) -> dict[str, Node]:
        """Every leaf by its path: `total`, `address.city`, `items[].price`."""
        return dict(leaves(self.tree))

    # -- an answer kind

    def hint(self) -> str:
        fields = "; ".join(f"{name} ({_words(member)})" for name, member in self.tree.members.items())
        return f"Answer with these fields: {fields}."

    def descriptions(self) -> str:
        """What the schema says about its fields, in one sentence; empty if it says nothing."""
        found = [f"{path} is {text.rstrip('.')}" for path, text in _described(self.tree)]
        return f"Of the fields, {'; '.join(found)}." if found else ""

    def annotation(self) -> Any:
        raise NotImplementedError("a record is enforced by its own schema: see conditions/allowed.py")

    def placeholder(self) -> str:
        return "<record>"

    def canon(self, answer: str) -> str | None:
        """The canonical form of every non-empty leaf, as one JSON text; None for a text that is not an object."""
        found = self.leaf_values(answer)
        if found is None:
            return None
        read = {path: _canon(value, self.leaves[path]) for path, value in found.items() if value is not None}
        return json.dumps(read, sort_keys=True, ensure_ascii=False)

    def readable(self, answer: str) -> bool:
        return as_object(answer) is not None

    def mentions(self, text: str) -> Iterator[tuple[int, int]]:
        """None: a record is found by the names of its fields (readers/records.py)."""
        return iter(())

    def same(self, answer: str | None, gold: str) -> bool:
        """Whether every leaf is right, or rightly empty."""
        return all(one in GOOD for one in self.verdicts(answer, gold).values())

    # -- field by field

    def leaf_values(self, answer: str) -> dict[str, Value] | None:
        tree = as_object(answer)
        return None if tree is None else held(tree, self.tree)

    def verdicts(self, answer: str | None, gold: str) -> dict[str, Verdict]:
        """The verdict on each leaf; all are `unread` if there is no record, or one without a single value."""
        return _verdicts(self, answer, gold)

    def _verdicts(self, answer: str | None, gold: str) -> dict[str, Verdict]:
        given, wanted = self.leaf_values(answer) if answer is not None else None, self.leaf_values(gold)
        assert wanted is not None, "the gold record is no object"
        if given is None or (all(one is None for one in given.values()) and any(one is not None for one in wanted.values())):
            return dict.fromkeys(self.leaves, "unread")
        ordered = in_order(self.tree)
        return {path: verdict(given[path], wanted[path], leaf, ordered[path]) for path, leaf in self.leaves.items()}

    def fault(self, tree: Mapping[str, Any]) -> str:
        """Where and how a record, each leaf read by its kind, breaks the schema; empty if it does not.

        Raises `UserError` if a pattern of the schema takes more than `SECONDS`.
        """
        try:
            with time_limit(SECONDS, of_processor=True):
                worst = jsonschema.exceptions.best_match(_validator(self.source).iter_errors(typed(tree, self.tree)))
        except TimeoutError as error:
            raise UserError(
                f"a pattern of the schema takes longer than {SECONDS:g} s on one record: leave out repeats in repeats"
            ) from error
        return "" if worst is None else f"{worst.json_path}: {' '.join(worst.message.split())[:200]}"


def as_object(answer: str) -> dict[str, Any] | None:
    """The object that a JSON text holds, scalars as written (`1.50`, `true`)."""
    try:
        found = json.loads(answer, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return None
    return _as_written(found) if isinstance(found, dict) else None


def _as_written(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: _as_written(one) for name, one in tree.items()}
    if isinstance(tree, list):
        return [_as_written(one) for one in tree]
    return json.dumps(tree) if isinstance(tree, bool) else tree


@lru_cache(maxsize=64)
def _parsed(source: str) -> tuple[dict[str, Any], Node, bool]:
    """The schema of the record, its tree, and whether it was put into an object."""
    try:
        found = json.loads(source)
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"it is not JSON ({error})") from error
    if not isinstance(found, dict) or depth(found) > 100:
        raise SchemaError("it is no JSON schema: give an object with a type")
    schema = whole(inlined(found), "")
    try:
        jsonschema.validators.validator_for(found).check_schema(found)
    except jsonschema.SchemaError as error:
        raise SchemaError(f"it is no valid JSON schema ({error.json_path}: {' '.join(error.message.split())[:200]})") from error
    tree = node(schema)
    if wrapped := not tree.members:
        schema = {"type": "object", "properties": {VALUE: schema}, "required": [VALUE]}
        tree = node(schema)
    if (count := len(list(leaves(tree)))) > MOST_LEAVES:
        raise at("", f"it has {count} fields, at most {MOST_LEAVES}")
    return schema, tree, wrapped


@lru_cache(maxsize=256)  # the three readings of a reply mostly find the same record
def _verdicts(kind: Record, answer: str | None, gold: str) -> dict[str, Verdict]:
    return kind._verdicts(answer, gold)


@lru_cache(maxsize=256)
def _arranged(source: str, how: Arrangement) -> Record:
    made = arranged(_parsed(source)[0], how)
    return Record(source=json.dumps(made, ensure_ascii=False))


@lru_cache(maxsize=64)
def _validator(source: str) -> Any:
    schema = _parsed(source)[0]
    return jsonschema.validators.validator_for(json.loads(source))(schema, format_checker=CHECKED)


def _canon(value: Value, leaf: Node) -> Any:
    kind = (leaf.element or leaf).kind
    assert kind is not None
    if isinstance(value, list):
        read = [None if one is None else kind.canon(one) for one in value]
        return read if leaf.ordered else sorted(read, key=str)
    return None if value is None else kind.canon(value)


def _described(tree: Node, path: str = "") -> Iterator[tuple[str, str]]:
    if path and tree.description:
        yield path, tree.description
    for name, member in tree.members.items():
        yield from _described(member, f"{path} {name}".strip())
    if tree.element:
        yield from _described(tree.element, path)


def _words(leaf: Node) -> str:
    """A field in words: its content, and whether it may be missing."""
    said = []
    if leaf.members:
        said.append("with " + ", ".join(f"{name} ({_words(member)})" for name, member in leaf.members.items()))
    elif leaf.element:
        said.append(f"a list, each {_words(leaf.element)}")
    else:
        said.append(_kind_in_words(leaf))
    if not leaf.required or leaf.nullable:
        said.append("if there is one")
    return ", ".join(said)


def _kind_in_words(leaf: Node) -> str:
    if isinstance(leaf.kind, Label):
        return "one of " + ", ".join(leaf.kind.labels)
    if isinstance(leaf.kind, JsonValue):
        return f"a JSON {leaf.type or 'value'}"
    return placeholder(leaf).strip("<>")
