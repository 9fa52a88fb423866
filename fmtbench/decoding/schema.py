"""The JSON schema of a contract, from a pydantic model made on the spot.

>>> json_schema({"reasoning": str, "answer": float})
'{"additionalProperties": false, "properties": {"reasoning": {"type": "string"}, "answer": {"type": "number"}}, ...'
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic import ConfigDict, create_model
from pydantic.json_schema import GenerateJsonSchema


class BareSchema(GenerateJsonSchema):
    """pydantic's schema without titles, which are words that no condition asked for."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schema(fields: Mapping[str, Any]) -> str:
    """JSON text of the schema with exactly these fields, all required; their order is generation order.

    `extra="forbid"` because guidance otherwise invents keys of its own.
    """
    written = tuple((name, annotation, repr(annotation)) for name, annotation in fields.items())
    try:
        return _written(written)
    except TypeError:  # an annotation that cannot be hashed
        return _written.__wrapped__(written)


@lru_cache(maxsize=512)  # asked for every request, and pydantic takes milliseconds
def _written(fields: tuple[tuple[str, Any, str], ...]) -> str:
    """With each annotation as it is written: `Literal["a", "b"]` and `Literal["b", "a"]` are equal, and their schemas are not."""
    definitions: dict[str, Any] = {name: (annotation, ...) for name, annotation, _ in fields}
    model = create_model("Contract", __config__=ConfigDict(extra="forbid"), **definitions)
    schema = model.model_json_schema(schema_generator=BareSchema)
    schema.pop("title", None)
    return json.dumps(schema, ensure_ascii=False)
