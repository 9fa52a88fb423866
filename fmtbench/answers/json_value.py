"""A JSON value that is judged as a whole: an object whose names no schema lists, or a list of anything.

>>> JsonValue().same('{"b": 2.0, "a": "x"}', '{"a": "x", "b": 2}')
True
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.dataclasses import dataclass

import fmtbench.answers.spelling as spelling
from fmtbench.answers.base import STRICT, AnswerKind
from fmtbench.answers.number import Number


@dataclass(frozen=True, kw_only=True, config=STRICT)
class JsonValue(AnswerKind):
    """The same where all names are, in any order, and all scalars: numbers by value, texts up to case, accents and signs. Whether
    a scalar stands in quotation marks does not matter, since not every format has them."""

    def hint(self) -> str:
        return "Answer with a JSON value."

    def annotation(self) -> Any:
        return dict[str, Any]

    def placeholder(self) -> str:
        return "<JSON>"

    def canon(self, answer: str) -> str | None:
        """A text that is not JSON stands for itself."""
        try:
            found = json.loads(answer, parse_int=str, parse_float=str, parse_constant=str)
        except (ValueError, RecursionError):
            found = answer.strip() or None
        return None if found is None else json.dumps(_canonical(found), sort_keys=True, ensure_ascii=False)

    def mentions(self, text: str) -> Iterator[tuple[int, int]]:
        """Nothing: a record is found by the names of its fields."""
        return iter(())


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _canonical(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_canonical(one) for one in value]
    if not isinstance(value, str):
        return json.dumps(value)
    return _number(value) or spelling.squeeze(value) or value.strip()


def _number(text: str) -> str | None:
    """The canonical form of a text that is only a number."""
    try:
        float(text)
    except ValueError:
        return None
    return Number().canon(text)


def as_json(value: Any, fragment: Mapping[str, Any]) -> Any:
    """A value as JSON has it: formats that write texts alone, or leave scalars as they are written, do not tell `12` from `"12"`,
    and the schema does."""
    if isinstance(value, Mapping):
        return {name: as_json(one, _part(fragment, name)) for name, one in value.items()}
    if isinstance(value, list):
        items: Mapping[str, Any] = next((one["items"] for one in _shapes(fragment) if isinstance(one.get("items"), Mapping)), {})
        return [as_json(one, items) for one in value]
    types = _types(fragment)
    if not isinstance(value, str) or not types or "string" in types:
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _types(fragment: Mapping[str, Any]) -> set[str]:
    """The types that a schema allows; empty if it does not say."""
    given = [one.get("type", []) for one in _shapes(fragment)]
    return {name for one in given for name in ([one] if isinstance(one, str) else one)}


def _shapes(fragment: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [fragment, *fragment.get("anyOf", ()), *fragment.get("oneOf", ())]


def _part(fragment: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What a schema says about one name."""
    shapes = _shapes(fragment)
    listed = [one["properties"][name] for one in shapes if name in one.get("properties", {})]
    further = [one.get("additionalProperties") for one in shapes]
    by_pattern = [held for one in shapes for held in one.get("patternProperties", {}).values()]
    return next((one for one in (*listed, *further, *by_pattern) if isinstance(one, Mapping)), {})
