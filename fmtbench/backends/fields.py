"""Which fields of OpenAI's chat API a server takes: found out by asking once, never by guessing from a model's name.

    400 Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.

A field with the same meaning under another name is renamed, and one that changes no reply is left out; both are recorded. A field
that would change a reply, such as a temperature, is never left out silently: the error names the setting that does so.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fmtbench.backends.endpoint import TurnedDown
from fmtbench.errors import UserError
from fmtbench.types import Request

logger = logging.getLogger(__name__)

RENAMED = {"max_tokens": "max_completion_tokens"}
"""Newer models of OpenAI count the tokens of a thought as well, and call the limit so."""
OWN = {
    "model": "backend.model",
    "messages": "prompt and condition",
    "temperature": "sampling.temperature",
    "top_p": "sampling.top_p",
    "seed": "seed",
    "max_tokens": "sampling.max_tokens",
    "max_completion_tokens": "sampling.max_tokens",
    "logprobs": "backend.token_ends",
    "response_format": "condition",
    "n": "sampling.samples",
}
"""Fields that `extra_body` must not decide on, and what does. No `stream`: a reply is read whole."""
DEFAULT = {"temperature": 1.0, "top_p": 1.0}
"""Their defaults according to OpenAI's reference."""


def checked_extra(body: dict[str, Any]) -> dict[str, Any]:
    """Raises `ValueError` for a field that has a setting of its own."""
    for name in body:
        if name in OWN:
            raise ValueError(f"{name} is not for it to say: set {OWN[name]}")
        if name == "stream":
            raise ValueError("stream is not for it to say: replies are read whole")
    return body


def kind_of(request: Request) -> Any:
    """What decides which fields a request has, and with which values."""
    sampling = request.temperature, request.top_p, request.max_tokens, request.seed is None, request.logprobs
    return *sampling, request.thinking, json.dumps(request.chat_template_kwargs, sort_keys=True)


@dataclass(frozen=True, kw_only=True)
class Fields:
    """How a request's fields are sent."""

    limit: str = "max_tokens"
    """The name of the limit on tokens."""
    dropped: frozenset[str] = frozenset()
    """Fields that are never sent."""
    fixed: bool = False
    """Whether the user said so."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """What the server said, by field."""

    def sent(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A request's body as this server takes it."""
        named = {self.limit if name == "max_tokens" else name: value for name, value in body.items()}
        return {name: value for name, value in named.items() if name not in self.dropped}

    def instead(self, name: str) -> str:
        return (
            f"left out of all requests from here on{', so reasoning_tokens are unknown' if name == 'logprobs' else ''}"
            if (name in self.dropped)
            else f"sent as {self.limit} from here on"
        )

    def facts(self) -> dict[str, Any]:
        return {"limit": self.limit, "dropped": sorted(self.dropped), "refused": dict(self.refused)}

    def check(self, temperature: float, top_p: float) -> None:
        """Raises `UserError` where a field that is not sent has another value than its absence means."""
        for name, asked in (("temperature", temperature), ("top_p", top_p)):
            if name in self.dropped and asked != DEFAULT[name]:
                raise UserError(
                    f"backend.drop_params=[{name}] leaves the server at its default, and sampling.{name}={asked:g} is asked: "
                    f"set sampling.{name}={DEFAULT[name]:g}"
                )

    def without(self, name: str, complaint: str, body: Mapping[str, Any], *, needed: bool) -> Fields:
        """How to send it after the server refused a field; `needed`: whether log-probabilities are wanted for themselves.

        Raises `UserError` where that is the user's to decide.
        """
        refused = {**self.refused, name: complaint}
        if name == "max_tokens" and not self.fixed and RENAMED[name] not in self.refused:
            return replace(self, limit=RENAMED[name], refused=refused)
        if (name == "logprobs" and not needed) or (name == "top_p" and body[name] == DEFAULT[name]):
            return replace(self, dropped=self.dropped | {name}, refused=refused)
        raise UserError(f"the server does not take {_shown(name, body[name])} ({complaint}): {_advice(name, body[name])}")


async def accepted(
    ask: Callable[[dict[str, Any]], Awaitable[Any]], body_of: Callable[[Fields], dict[str, Any]], fields: Fields, *, needed: bool
) -> tuple[Fields, Any]:
    """Ask, leaving out rejected fields, until the server answers; returns the fields that it takes, and the reply.

    The reply is None if it rejects the request for another reason than a field: the other requests will tell.
    """
    while True:
        body = body_of(fields)
        try:
            return fields, await ask(body)
        except TurnedDown as error:
            name = named(str(error), error.param, body)
            if not name:
                return fields, None
            fields = fields.without(name, str(error), body, needed=needed)
            logger.info("the server does not take %s (%s): %s", name, error, fields.instead(name))


def _shown(name: str, value: Any) -> str:
    return f"{name}={value:g}" if isinstance(value, float) else name


def _advice(name: str, value: Any) -> str:
    """The override that helps."""
    if name in DEFAULT and value != DEFAULT[name]:
        return f"set sampling.{name}={DEFAULT[name]:g}"
    if name in ("temperature", "seed"):
        return f"backend.drop_params=[{name}] sends none, and the request keys say so"
    if name in RENAMED:
        return f"set backend.max_tokens_field={RENAMED[name]}, or another sampling.max_tokens"
    if name in RENAMED.values():
        return "set backend.max_tokens_field=max_tokens, or another sampling.max_tokens"
    if name == "logprobs":
        return "this command needs log-probabilities: take another server"
    return f"take {name} out of backend.extra_body, or out of backbone.chat_template_kwargs and backbone.thinking"


def named(complaint: str, param: str, body: Mapping[str, Any]) -> str:
    """The field of the body that a refusal is about: the one it gives as its `param`, or else mentions first; empty if none."""
    candidates = [name for name in body if name not in ("model", "messages")]
    if param in candidates:
        return param
    places = {name: found.start() for name in candidates if (found := re.search(rf"(?<!\w){re.escape(name)}(?!\w)", complaint))}
    return min(places, key=lambda name: places[name], default="")
