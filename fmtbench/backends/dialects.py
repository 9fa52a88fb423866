"""How different servers of OpenAI's chat API take a constraint, and what else they need to be told."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from fmtbench.decoding.gbnf import gbnf
from fmtbench.decoding.grammar import allows, regex
from fmtbench.decoding.json_mode import any_object
from fmtbench.errors import BarredError
from fmtbench.types import Constraint

NO_DEFAULTS = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
"""Sampling settings that a model may be shipped with; only the request decides. OpenAI's API has no such fields."""
LLAMACPP_DEFAULTS = {
    "top_k": 0,
    "min_p": 0.0,
    "repeat_penalty": 1.0,
    "cache_prompt": False,  # logits are not the same to the bit if part of the prompt is reused
}


class Dialect(NamedTuple):
    """What a kind of server takes beyond OpenAI's own fields."""

    field: str
    """The field in which it takes a constraint."""
    constrain: Callable[[Constraint], dict[str, Any]]
    """The fields of a request. Raises `BarredError` for a constraint that the server cannot express."""
    extra: dict[str, Any]
    of_logprobs: Mapping[str, Any] = MappingProxyType({})
    """What it needs to be told beside `logprobs`, and rejects without it."""
    version: tuple[str, str] | None = None
    """The page beside `/v1` with the server's version, and the field that holds it."""
    own_whitespace: bool = False
    """Whether the server decides on the white space between JSON's tokens."""
    asked: bool = False
    """Whether one has to find out which of OpenAI's fields it takes (see `fields`)."""
    continued: dict[str, Any] | None = None
    """Further fields of a request whose reply has begun; None if it cannot express that."""


def keeps(dialect: Dialect, constraint: Constraint, text: str) -> bool:
    """Whether a finished text keeps to its constraint, up to white space where that is the server's business."""
    if allows(constraint, text):
        return True
    if not dialect.own_whitespace:
        return False
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    if constraint == any_object():
        return isinstance(value, dict)
    return allows(constraint, json.dumps(value, ensure_ascii=False))


def _response_format(constraint: Constraint) -> dict[str, Any]:
    if constraint == any_object():
        return {"response_format": {"type": "json_object"}}
    if constraint.kind != "json_schema":
        raise BarredError(
            "backend.dialect=openai sends JSON schemas, and this condition has another grammar: it runs on a server that takes "
            "regular expressions or grammars (backend.dialect=vllm, sglang or llamacpp)"
        )
    schema = {"name": "contract", "strict": True, "schema": json.loads(constraint.source)}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


DIALECTS = {
    "vllm": Dialect(
        "structured_outputs.regex",
        lambda constraint: {"structured_outputs": {"regex": regex(constraint)}},
        NO_DEFAULTS | {"return_token_ids": True},
        version=("version", "version"),
        continued={"add_generation_prompt": False, "continue_final_message": True},
    ),
    "sglang": Dialect("regex", lambda constraint: {"regex": regex(constraint)}, NO_DEFAULTS),
    "llamacpp": Dialect(
        "grammar",
        lambda constraint: {"grammar": gbnf(regex(constraint))},
        LLAMACPP_DEFAULTS,
        of_logprobs={"top_logprobs": 1},  # it is not sent if it is 0
        version=("props", "build_info"),
    ),
    "openai": Dialect("response_format", _response_format, {}, own_whitespace=True, asked=True),
}
