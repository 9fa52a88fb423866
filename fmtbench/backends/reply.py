"""A chat completion as it comes over the wire, and the parts of it that a generation needs."""

from __future__ import annotations

import codecs
import math
from collections.abc import Sequence

from pydantic import BaseModel, Field


class Token(BaseModel):
    token: str
    bytes: list[int] | None = None
    logprob: float = math.nan


class Logprobs(BaseModel):
    content: list[Token] | None = None


class CompletionMessage(BaseModel):
    content: str | None = None


class CompletionChoice(BaseModel):
    message: CompletionMessage
    finish_reason: str | None = None
    logprobs: Logprobs | None = None
    token_ids: list[int] | None = None
    """Only vLLM sends them, if asked to."""


class Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Reply(BaseModel):
    """The parts of a reply that are read; whatever else a server sends is ignored."""

    choices: list[CompletionChoice] = Field(min_length=1)
    usage: Usage = Usage()

    @property
    def text(self) -> str:
        return self.choices[0].message.content or ""

    @property
    def token_ids(self) -> tuple[int, ...]:
        return tuple(self.choices[0].token_ids or ())

    @property
    def token_ends(self) -> tuple[int, ...]:
        """For each token the index in the text at which it ends; empty if the server does not tell."""
        return token_ends(self._tokens, self.text)

    @property
    def logprobs(self) -> tuple[float, ...]:
        return tuple(token.logprob for token in self._tokens)

    @property
    def _tokens(self) -> list[Token]:
        logprobs = self.choices[0].logprobs
        return (logprobs.content if logprobs else None) or []


def token_ends(tokens: Sequence[Token], text: str) -> tuple[int, ...]:
    """Where each token ends in the text; a token inside a character ends where the character begins.

    Tokens after the text (the end of the sequence) end where it ends. Empty if the tokens do not spell the text.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    spelled, ends = "", []
    for token in tokens:
        spelled += decoder.decode(bytes(token.bytes) if token.bytes is not None else token.token.encode())
        ends.append(min(len(spelled), len(text)))
    return tuple(ends) if spelled.startswith(text) else ()
