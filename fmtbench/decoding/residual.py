"""What may still follow in a JSON object whose first string is open: {"reasoning": "9 * 2

>>> inside_first(constraint, "reasoning").source
'([^"\\\\\\x00-\\x1F\\x7F-\\x9F]|\\\\["\\\\/bfnrt])*"[ ]?,[ ]?"answer"...'

The regular expression of the whole begins with that of the brace, the key and the opening quote; what comes after them is the
expression of what may follow there. So no second grammar is written, which could differ from the first.
"""

from __future__ import annotations

import json

from fmtbench.decoding.grammar import allows, regex
from fmtbench.errors import UserError
from fmtbench.types import Constraint

STRING = Constraint(kind="json_schema", source='{"type": "string"}')


def inside_first(constraint: Constraint, name: str) -> Constraint:
    """Raises `UserError` where the grammar does not begin with this field, and a string without a pattern of its own."""
    string = regex(STRING)
    fields = {"type": "object", "properties": {name: {"type": "string"}}, "required": [name], "additionalProperties": False}
    alone = regex(Constraint(kind="json_schema", source=json.dumps(fields, ensure_ascii=False)))
    opening, quote = alone.partition(string)[0], string[0]
    whole = regex(constraint)
    if not whole.startswith(opening + string):
        raise UserError(
            f"what is enforced does not begin with a free text {name}: only that of enforced=schema, with one rationale before "
            "the answer and no budget=hard, can be taken up in its middle"
        )
    return Constraint(kind="regex", source=whole.removeprefix(opening + quote))


def in_string(text: str) -> bool:
    """Whether a decoder lets a string hold this text: Outlines' rule has no way to write some characters."""
    return allows(STRING, json.dumps(text, ensure_ascii=False))
