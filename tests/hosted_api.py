"""A hosted API as they are today, for `serving(..., quirks=True)`: it refuses what its models do not take, in OpenAI's words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.http_server import Answer, Body, obedient

KNOWN = {"model", "messages", "temperature", "top_p", "seed", "response_format", "reasoning_effort"}


def refusal(message: str, param: str | None, code: str | None = "unsupported_parameter") -> Answer:
    return Answer({"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}, 400)


def unsupported(name: str, instead: str = "") -> Answer:
    hint = f" Use '{instead}' instead." if instead else ""
    return refusal(f"Unsupported parameter: '{name}' is not supported with this model.{hint}", name)


@dataclass(frozen=True)
class HostedAPI:
    """Which quirks it has; it knows `reasoning_effort`, and refuses every field that it does not know."""

    limit: str = "max_tokens"
    logprobs: bool = True
    temperature: str = "any"
    """`any`, `only 1`, or `none`."""
    top_p: bool = True
    seed: bool = True
    param: bool = True
    """Whether an error says which field it is about in a field of its own."""
    answer: Callable[[Body], Answer] = obedient

    def __call__(self, body: Body) -> Answer:
        found = self._refused(body)
        if found is None:
            return self.answer(body)
        if not self.param:
            found.content["error"]["param"] = None
        return found

    def _refused(self, body: Body) -> Answer | None:
        other = {"max_tokens": "max_completion_tokens"}.get(self.limit, "max_tokens")
        if other in body:
            return unsupported(other, self.limit)
        if "logprobs" in body and not self.logprobs:
            return refusal("You are not allowed to request logprobs from this model.", None, None)
        if "temperature" in body and self.temperature != "any" and (self.temperature == "none" or body["temperature"] != 1):
            return unsupported("temperature") if self.temperature == "none" else self._only_one(body["temperature"])
        for name, taken in (("top_p", self.top_p), ("seed", self.seed)):
            if name in body and not taken:
                return unsupported(name)
        unknown = sorted(body.keys() - KNOWN - {self.limit, "logprobs"})
        return refusal(f"Unrecognized request argument supplied: {unknown[0]}", None, None) if unknown else None

    def _only_one(self, asked: Any) -> Answer:
        words = (
            f"Unsupported value: 'temperature' does not support {asked} with this model. Only the default (1) value is supported."
        )
        return refusal(words, "temperature", "unsupported_value")
