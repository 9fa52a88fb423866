"""How different servers of OpenAI's chat API take a constraint, and what else they have to be told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from fmtbench.decoding.grammar import regex
from fmtbench.types import Constraint

NO_DEFAULTS = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
"""Sampling settings that a model may be shipped with; only the request decides. OpenAI's API has no such fields."""


class Dialect(NamedTuple):
    """What a kind of server takes beyond OpenAI's own fields."""

    field: str
    """Where it takes a constraint."""
    constrain: Callable[[Constraint], dict[str, Any]]
    extra: dict[str, Any]


DIALECTS = {
    "vllm": Dialect(
        "structured_outputs.regex",
        lambda constraint: {"structured_outputs": {"regex": regex(constraint)}},
        NO_DEFAULTS | {"return_token_ids": True},
    ),
    "sglang": Dialect("regex", lambda constraint: {"regex": regex(constraint)}, NO_DEFAULTS),
    "openai": Dialect(
        "response_format",
        lambda constraint: {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "contract", "strict": True, "schema": json.loads(constraint.source)},
            }
        },
        {},
    ),
}
