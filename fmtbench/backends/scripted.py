"""A backend whose replies are a function of the request: for tests, and for trying a config without a model."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fmtbench.backbone import Backbone
from fmtbench.backends.base import Backend, Calls, Session
from fmtbench.backends.thoughts import told_apart
from fmtbench.formats.calls import CANONICAL
from fmtbench.types import Constraint, Generation, Request

DATE = "2000-01-01"
"""Stands in for a text with a pattern, which is mostly a date."""
LEAST: dict[str, Any] = {"number": 0, "integer": 0, "boolean": False, "null": None}
REPLY_TEXT = "This is a guess. The answer is 42."


def example_reply(request: Request) -> str:
    """The smallest reply that keeps the request's constraint."""
    constraint = request.constraint
    if constraint is None or constraint.kind != "json_schema":
        return REPLY_TEXT
    return json.dumps({name: _smallest(field) for name, field in json.loads(constraint.source)["properties"].items()})


def _smallest(field: dict[str, Any]) -> Any:
    for shapes in ("anyOf", "oneOf"):
        if shapes in field:
            return _smallest(field[shapes][0])
    if "const" in field:
        return field["const"]
    if "enum" in field:
        return field["enum"][0]
    if "type" not in field:
        return None
    if isinstance(field["type"], list):
        return _smallest({**field, "type": field["type"][0]})
    if field["type"] == "array":
        return [_smallest(field.get("items") or {})] * field.get("minItems", 0)
    if field["type"] == "object":
        return {name: _smallest(one) for name, one in field.get("properties", {}).items()}
    if "pattern" in field:
        return DATE
    return {**LEAST, "string": "...".ljust(field.get("minLength", 0), ".")}[field["type"]]


@dataclass(frozen=True, kw_only=True)
class Scripted(Backend):
    """`reply` raises on a request that the script does not expect; words count as tokens. Where a request thinks, what the reply
    writes up to the end of its thought is the thought."""

    reply: Callable[[Request], str] = example_reply

    def identity(self, backbone: Backbone, constraint: Constraint | None) -> str:
        return "scripted"

    def check_template(self, backbone: Backbone) -> None:
        """A script has no template."""

    def why_unthinkable(self, *, budget: bool, masked: bool) -> str:
        return ""

    def calls(self, backbone: Backbone) -> Calls:
        return Calls(backbone.calls or CANONICAL)

    def why_not_continued(self) -> str:
        return ""

    def open(self, backbone: Backbone) -> Session:
        return ScriptedSession(self.reply)


class ScriptedSession(Session):
    """Calls the script once for each request."""

    def __init__(self, reply: Callable[[Request], str]) -> None:
        self._reply = reply

    def generate(self, requests: Sequence[Request], at_most: int | None = None) -> Iterator[Generation]:
        for request in requests:
            said = self._reply(request)
            words = [match.end() for match in re.finditer(r"\S+", said)]
            ends = words[: request.max_tokens]
            said = said if ends == words else said[: ends[-1]]
            thought, text = told_apart(said, request.thinking) if request.thinking else ("", said)
            begins = len(said) - len(text)
            yield Generation(
                key=request.key,
                text=text,
                token_ids=tuple(range(len(ends))),
                token_ends=tuple(max(0, end - begins) for end in ends),
                finish_reason="stop" if ends == words else "length",
                prompt_tokens=sum(len(message.content.split()) for message in request.messages),
                decoder="scripted" if request.constraint else "none",
                thought=thought,
                thought_tokens=sum(end <= begins for end in ends),
            )

    def facts(self) -> dict[str, Any]:
        return {"engine": "scripted"}

    def close(self) -> None:
        pass
