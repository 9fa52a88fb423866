"""A chat completion as it arrives over the wire, and the parts of it that a generation needs."""

from __future__ import annotations

import codecs
import math
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator

from fmtbench.backends.served_calls import with_calls
from fmtbench.types import whole

THOUGHTS = ("reasoning_content", "reasoning")
"""Servers' names for the part of a message that was thought first."""
CALLED = ("tool_calls", "function_call")
"""Finish reasons of a reply that ended by itself, with a call."""
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
"""The most tokens; anything larger is not a count, and would not fit into a table."""


class Token(BaseModel):
    token: Annotated[str, BeforeValidator(lambda sent: whole(sent)[0] if isinstance(sent, str) else sent)]
    bytes: list[Annotated[int, Field(ge=0, le=255)]] | None = None
    logprob: float = math.nan


class Logprobs(BaseModel):
    content: list[Token] | None = None


class CompletionMessage(BaseModel):
    content: str | None = None
    thought: str = ""
    """What the server separates as the model's reasoning."""
    halves: int = 0
    """Of character pairs, replaced."""

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, sent: Any) -> Any:
        if not isinstance(sent, dict):
            return sent
        thought, _ = whole(next((sent[name] for name in THOUGHTS if isinstance(sent.get(name), str)), ""))
        said = with_calls(sent.get("content"), sent.get("tool_calls"))
        if not isinstance(said, str):
            return {"content": said, "thought": thought}
        content, halves = whole(said)
        return {"content": content, "thought": thought, "halves": halves}


class CompletionChoice(BaseModel):
    message: CompletionMessage
    finish_reason: Annotated[str | None, AfterValidator(lambda sent: "stop" if sent in CALLED else sent)] = None
    logprobs: Logprobs | None = None
    token_ids: list[Count] | None = None
    """Only vLLM sends them, and only if asked."""


class Usage(BaseModel):
    prompt_tokens: Count = 0
    completion_tokens: Count = 0
    completion_tokens_details: Annotated[
        dict[str, Any], BeforeValidator(lambda sent: sent if isinstance(sent, dict) else {})
    ] = {}

    @property
    def thought_tokens(self) -> int:
        """Those that the model thought with, among `completion_tokens`; 0 where the server does not say."""
        told = self.completion_tokens_details.get("reasoning_tokens")
        return min(told, self.completion_tokens) if isinstance(told, int) and told > 0 else 0


class Reply(BaseModel):
    """The parts of a reply that are read; anything else that a server sends is ignored."""

    choices: list[CompletionChoice] = Field(min_length=1)
    model: str | None = None
    """The model that answered."""
    usage: Usage | None = None

    @property
    def text(self) -> str:
        return self.choices[0].message.content or ""

    @property
    def thought(self) -> str:
        return self.choices[0].message.thought.strip()

    @property
    def thought_tokens(self) -> int:
        """By the server's count, or by counting the tokens before the text; 0 if neither tells."""
        return self.counts.thought_tokens or (sum(end == 0 for end in self.token_ends) if self.thought else 0)

    @property
    def halves(self) -> int:
        return self.choices[0].message.halves

    @property
    def counts(self) -> Usage:
        """Zeros if the server does not count."""
        return self.usage or Usage()

    @property
    def token_ids(self) -> tuple[int, ...]:
        return tuple(self.choices[0].token_ids or ())

    @property
    def token_ends(self) -> tuple[int, ...]:
        """For each token the index in the text at which it ends; empty if the server does not tell."""
        return self.ends_in(self.text, thought=bool(self.thought))

    def ends_in(self, text: str, *, thought: bool) -> tuple[int, ...]:
        """The same for a part of the text, before which a thought was taken out."""
        return token_ends(self._tokens, text, thought=thought)

    @property
    def logprobs(self) -> tuple[float, ...]:
        return tuple(token.logprob for token in self._tokens)

    @property
    def _tokens(self) -> list[Token]:
        logprobs = self.choices[0].logprobs
        return (logprobs.content if logprobs else None) or []


def token_ends(tokens: Sequence[Token], text: str, *, thought: bool = False) -> tuple[int, ...]:
    """Where each token ends in the text; a token inside a character ends where the character begins.

    Tokens after the text (the end of the sequence) end where it ends, and those of a thought before it where it begins. Empty if
    the tokens do not spell the text.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    spelled, ends = "", []
    for token in tokens:
        spelled += decoder.decode(bytes(token.bytes) if token.bytes is not None else token.token.encode())
        ends.append(len(spelled))
    begins = spelled.rfind(text) if thought else 0 if spelled.startswith(text) else -1
    return tuple(max(0, min(end - begins, len(text))) for end in ends) if begins >= 0 else ()
