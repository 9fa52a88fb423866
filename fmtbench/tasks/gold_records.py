"""Gold records: an object in a cell, which must match the schema that it is scored by."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema

from fmtbench.answers import Record
from fmtbench.answers.held import held
from fmtbench.answers.nodes import Node, leaves
from fmtbench.answers.record import VALUE
from fmtbench.tasks.source_row import SourceRow


def gold_record(row: SourceRow, gold: str, kind: Record) -> str:
    """The gold as JSON text. Raises `UserError` with the row and the path for one that breaks the schema or cannot be read."""
    found = json.loads(gold)
    if kind.wrapped:
        found = {VALUE: found}
    if not isinstance(found, dict):
        row.reject("gold", f"the gold answer is {found!r}: give an object, as JSON in a CSV")
    if problem := broken(found, kind):
        row.reject("gold", f"the gold answer breaks the schema at {problem}")
    if unread := next(unreadable(found, kind), None):
        row.reject("gold", unread)
    return json.dumps(found, ensure_ascii=False) if kind.wrapped else gold


def broken(found: dict[str, Any], kind: Record) -> str:
    """Where and how a user's object breaks the schema as given; empty if it does not. Null stands for a field that is not
    there."""
    made = jsonschema.validators.validator_for(kind.schema)(kind.schema)
    worst = jsonschema.exceptions.best_match(made.iter_errors(without_nulls(found, kind.tree)))
    return "" if worst is None else f"{worst.json_path}: {' '.join(worst.message.split())[:200]}"


def without_nulls(tree: Any, node: Node) -> Any:
    """An object without the fields that are null, may be missing and may not be null."""
    if isinstance(tree, list) and node.element:
        return [without_nulls(one, node.element) for one in tree]
    if not isinstance(tree, dict) or node.kind is not None:
        return tree
    bare = Node(schema={})
    kept = {}
    for name, one in tree.items():
        member = node.members.get(name, bare)
        if one is not None or member.nullable or (name in node.members and member.required):
            kept[name] = without_nulls(one, member)
    return kept


def unreadable(found: dict[str, Any], kind: Record) -> Iterator[str]:
    """The parts that no canonicaliser can read: no reply could ever match such a gold."""
    values = held(json.loads(json.dumps(found)), kind.tree)
    for path, leaf in leaves(kind.tree):
        one = (leaf.element or leaf).kind
        assert one is not None
        value = values[path]
        for text in value if isinstance(value, list) else [value]:
            if text is not None and one.canon(text) is None:
                yield f"the gold answer has {text!r} at {path}, which is no {one.placeholder()}"
