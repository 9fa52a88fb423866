"""The shape of a schema as a treatment: the same fields in another arrangement. What a field is, and how it is judged, stays.

arranged(schema, Arrangement(optional="required", nulls="allowed"))     every field must be there, and may be null
arranged(schema, Arrangement(enums="open"))                             any text where a list of values was
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from fmtbench.answers.inlining import Fragment, settled
from fmtbench.errors import UserError

NULL = {"type": "null"}
TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """What is changed in a schema, at every level (`last`: at the top)."""

    optional: Literal["as_given", "required", "nullable"] = "as_given"
    """`nullable`: a field that may be null may be missing instead."""
    nulls: Literal["as_given", "allowed", "forbidden"] = "as_given"
    """For fields that may be missing under the schema as given."""
    order: Literal["as_given", "sorted", "reversed"] = "as_given"
    last: tuple[str, ...] = ()
    """Fields of the top level that come after all others."""
    enums: Literal["as_given", "open"] = "as_given"
    """Whether a field may hold only the listed values, or any of their type."""

    @property
    def forced(self) -> bool:
        """Whether a record has to say something where there is nothing to say, so that no reply can be perfect."""
        return self.optional == "required" and self.nulls != "allowed"

    @property
    def plain(self) -> bool:
        return self == AS_GIVEN


AS_GIVEN = Arrangement()


def arranged(schema: Fragment, how: Arrangement) -> Fragment:
    """An inlined schema in another arrangement. Raises `UserError` for a last field that it does not have."""
    made = _arranged(schema, how)
    if absent := [name for name in how.last if name not in made["properties"]]:
        raise UserError(f"last_fields names {absent[0]!r}, the schema's fields are {', '.join(made['properties'])}")
    held = made["properties"]
    return {**made, "properties": {name: held[name] for name in (*(one for one in held if one not in how.last), *how.last)}}


def _arranged(fragment: Any, how: Arrangement) -> Any:
    if isinstance(fragment, list):
        return [_arranged(one, how) for one in fragment]
    if not isinstance(fragment, dict):
        return fragment
    made = {
        name: _arranged(held, how) if name in ("items", "anyOf", "oneOf", "allOf") else held for name, held in fragment.items()
    }
    if how.enums == "open":
        made = _opened(made)
    if "properties" in made:
        made["properties"] = _properties(fragment, how)
        made["required"] = _required(fragment, list(made["properties"]), how)
        if not made["required"]:
            del made["required"]  # draft 4 of JSON Schema allows no empty list there
        if how.optional == "required":
            made = {name: held for name, held in made.items() if not _is_choice_of_required(name, held)}
    return made


def _is_choice_of_required(name: str, held: Any) -> bool:
    """Whether it only says which fields must be there together: where all must be there, each is given, null or not."""
    return name in ("anyOf", "oneOf") and all(isinstance(one, dict) and set(one) == {"required"} for one in held)


def _required(fragment: Fragment, names: list[str], how: Arrangement) -> list[str]:
    if how.optional == "required":
        return names
    given: list[str] = fragment.get("required", [])
    held = fragment["properties"]
    return [name for name in given if not settled(held[name], name)[1]] if how.optional == "nullable" else given


def _properties(fragment: Fragment, how: Arrangement) -> Fragment:
    held = fragment["properties"]
    names = {"as_given": list(held), "sorted": sorted(held), "reversed": list(held)[::-1]}[how.order]
    required = fragment.get("required", ())
    return {name: _nulls(_arranged(held[name], how), name in required, how) for name in names}


def _nulls(fragment: Fragment, required: bool, how: Arrangement) -> Fragment:
    if how.nulls == "as_given" or (how.nulls == "allowed" and required):
        return fragment
    bare = _without_null(fragment)
    if how.nulls == "forbidden":
        return bare
    words: Fragment = {name: bare[name] for name in ("title", "description") if name in bare}
    return {**words, "anyOf": [{name: held for name, held in bare.items() if name not in words}, NULL]}


def _opened(fragment: Fragment) -> Fragment:
    """A list of values becomes their type; a single value is no choice, and stays."""
    values = fragment.get("enum", [])
    types = list(dict.fromkeys(TYPES[type(one)] for one in values if one is not None))
    if len(values) - (None in values) < 2:
        return fragment
    shapes: list[Fragment] = [{"type": one} for one in types] + ([NULL] if None in values else [])
    rest = {name: held for name, held in fragment.items() if name not in ("enum", "type")}
    return {**rest, **(shapes[0] if len(shapes) == 1 else {"anyOf": shapes})}


def _without_null(fragment: Fragment) -> Fragment:
    made = dict(fragment)
    for name in ("anyOf", "oneOf"):
        if name in made:
            shapes = [one for one in made.pop(name) if one.get("type") != "null"]
            made |= shapes[0] if len(shapes) == 1 else {name: shapes}
    if isinstance(made.get("type"), list):
        types = [one for one in made["type"] if one != "null"]
        made["type"] = types[0] if len(types) == 1 else types
    if None in made.get("enum", ()):
        made["enum"] = [one for one in made["enum"] if one is not None]
    return made
