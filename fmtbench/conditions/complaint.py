"""What a validator says about a reply that breaks its contract, in one line, as the model is told when it is asked again.

    it is not valid JSON (Expecting ',' delimiter: line 1 column 18 (char 17))
    $.total: 'twelve' is not of type 'number'

It is made from the reply and the contract alone: no item, and so no gold answer, enters here.
"""

from __future__ import annotations

import json
from typing import Any

import jsonschema

from fmtbench.answers import AnswerKind, Record
from fmtbench.conditions.allowed import object_of_fields
from fmtbench.conditions.condition import Condition
from fmtbench.formats.base import Layout
from fmtbench.formats.json import JsonFormat, load_object
from fmtbench.formats.structured import unfenced
from fmtbench.readers.reply import reply_place
from fmtbench.types import Generation

MOST = 200
"""The most characters of a library's message."""
SAID: dict[str, str] = {
    "truncated": "it was cut off before its end, so it must be shorter",
    "loop": "it repeats itself without an end",
    "refused": "it gives no answer",
    "no_answer": "it gives no answer",
    "missing_trigger": "it never comes to the words that introduce the answer",
    "premature_trigger": "it states the answer before any thought",
    "schema_violation": "its parts are not those that were asked for, or not in their order",
    "no_mark": "it is not in the form that was asked for",
    "another_mark": "it is not in the form that was asked for",
}


def keeps(condition: Condition, generation: Generation, kind: AnswerKind) -> bool:
    """Whether the strict reader of the contract finds an answer, right or wrong."""
    return condition.read(generation, kind).status == "ok"


def complaint(condition: Condition, generation: Generation, kind: AnswerKind) -> str:
    """The complaint; empty for a reply that keeps the contract, and for an engine's error."""
    status = condition.read(generation, kind).status
    if status in ("ok", "engine_error"):
        return ""
    said = _of_object(condition, generation.text, kind) if status in ("no_mark", "another_mark", "schema_violation") else ""
    return said or SAID[status]


def _of_object(condition: Condition, text: str, kind: AnswerKind) -> str:
    """What is wrong with a JSON object; empty if nothing is, or none was asked for."""
    if not isinstance(condition.produced, JsonFormat):
        return ""
    start, end = reply_place(text, kind)
    _, body = unfenced(text[start:end], JsonFormat.languages)
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        return f"it is not valid JSON ({' '.join(str(error).split())[:MOST]})"
    if not isinstance(found, dict):
        return f"it is a JSON {type(found).__name__}, and must be an object"
    layout = condition.returned
    kind = layout.arranged(kind)
    return _of_record(layout, kind, body) if isinstance(kind, Record) else _of_fields(layout, kind, found)


def _of_record(layout: Layout, kind: Record, body: str) -> str:
    tree = load_object(body) or {}
    if lacking := [stage for stage in layout.stages if stage not in tree]:
        return f"$: {lacking[0]!r} is a required property"
    return kind.fault({name: one for name, one in tree.items() if name not in layout.stages})


def _of_fields(layout: Layout, kind: AnswerKind, found: dict[str, Any]) -> str:
    schema = json.loads(object_of_fields(layout, kind).source)
    worst = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(found))
    if worst is not None:
        return f"{worst.json_path}: {' '.join(worst.message.split())[:MOST]}"
    if list(found) != list(layout.fields):
        return f"the keys must come in this order: {', '.join(layout.fields)}"
    return ""
