"""How a prompt shows the shape of a JSON object: as a form (`json.py`), as JSON Schema, or as a TypeScript type."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from fmtbench.answers import AnswerKind, Record
from fmtbench.answers.inlining import settled
from fmtbench.decoding.schema import json_schema
from fmtbench.decoding.whitespace import respaced
from fmtbench.formats.base import Layout
from fmtbench.formats.records import joined
from fmtbench.formats.steps import annotation, fragment

Rendering = Literal["form", "json_schema", "typescript"]
SILENT = ("title", "default", "examples", "$schema", "$id", "$comment")


def rendered(layout: Layout, kind: AnswerKind) -> str:
    """The words that demand a JSON object of this layout."""
    schema = object_schema(layout, kind)
    if layout.rendering == "json_schema":
        shown = respaced(json.dumps(schema, ensure_ascii=False), layout.whitespace)
        return f"a JSON object that keeps to this JSON schema{layout.in_order('keys')}: {shown}"
    return f"a JSON object of this TypeScript type{layout.in_order('keys')}: {typescript(schema)}"


def object_schema(layout: Layout, kind: AnswerKind) -> dict[str, Any]:
    """The whole object's schema as a prompt shows it, with descriptions where the layout puts them there."""
    if not isinstance(kind, Record):
        rationale = annotation(layout.rationale)
        fields = {name: kind.annotation() if name == layout.answer else rationale for name in layout.fields}
        return json.loads(json_schema(fields))
    own = _shown(kind.schema, layout.described)
    properties = joined(layout, kind, fragment(layout.rationale), own["properties"])
    required = [name for name in properties if name in (*layout.stages, *own.get("required", ()))]
    return {**own, "properties": properties, "required": required}


def _shown(schema: Any, described: bool) -> Any:
    if isinstance(schema, list):
        return [_shown(one, described) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        name: {key: _shown(one, described) for key, one in held.items()} if name == "properties" else _shown(held, described)
        for name, held in schema.items()
        if name not in SILENT and not name.startswith("x-") and (described or name != "description")
    }


def typescript(schema: Mapping[str, Any], path: str = "") -> str:
    """A schema as a type; descriptions are comments before their field."""
    fragment, nullable = settled(dict(schema), path)
    made = _type(fragment)
    return f"{made} | null" if nullable and made != "null" else made


def _type(fragment: Mapping[str, Any]) -> str:
    if "enum" in fragment or "const" in fragment:
        values = fragment.get("enum", [fragment.get("const")])
        return " | ".join(json.dumps(one, ensure_ascii=False) for one in values)
    if "anyOf" in fragment:
        return " | ".join(map(typescript, fragment["anyOf"]))
    if fragment.get("properties"):
        required = fragment.get("required", ())
        fields = (
            f"{_comment(one)}{_key(name)}{'' if name in required else '?'}: {typescript(one)}"
            for name, one in fragment["properties"].items()
        )
        return "{ " + "; ".join(fields) + " }"
    if fragment.get("type") == "array" and fragment.get("items"):
        inner = typescript(fragment["items"])
        return f"({inner})[]" if " | " in inner else f"{inner}[]"
    return {"integer": "number", "array": "unknown[]"}.get(str(fragment.get("type")), str(fragment.get("type")))


def _comment(fragment: Mapping[str, Any]) -> str:
    said = [" ".join(str(fragment["description"]).split())] if "description" in fragment else []
    said += [f"as {'YYYY-MM-DD' if fragment['format'] == 'date' else fragment['format']}"] if "format" in fragment else []
    return f"/* {', '.join(said)} */ " if said else ""


def _key(name: str) -> str:
    return name if name.isidentifier() else json.dumps(name, ensure_ascii=False)
