"""Whether two conditions are the same for records of one schema, as where one makes fields required and none is optional."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fmtbench.answers import Record
from fmtbench.conditions.condition import Condition


def alike(one: Condition, other: Condition, kind: Record) -> bool:
    """Whether both show, ask for and allow the same."""
    return _shape(one, kind) == _shape(other, kind)


def _shape(condition: Condition, kind: Record) -> tuple[Any, ...]:
    """The schema and what is said about it, apart; an arranged schema lists its required fields in another order."""
    bare = replace(
        condition, optional_fields="as_given", nulls="as_given", field_order="as_given", last_fields=(), enums="as_given"
    )
    return _canonical(kind.arranged(condition.arrangement).schema), bare.contract(kind), bare.constraint(kind)


def _canonical(schema: Any) -> Any:
    """The order of properties matters, that of required names does not, and an empty `required` says nothing."""
    if isinstance(schema, list):
        return [_canonical(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    made = {name: _canonical(held) for name, held in schema.items() if name not in ("required", "properties")}
    if required := schema.get("required"):
        made["required"] = sorted(required)
    if properties := schema.get("properties"):
        made["properties"] = [(name, _canonical(held)) for name, held in properties.items()]
    return made
