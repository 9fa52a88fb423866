"""From requests to token ids and back: shared by every engine that runs weights on this machine."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fmtbench.backends.prefix import parted
from fmtbench.backends.special import neutral, special_tokens
from fmtbench.backends.thoughts import opened, split
from fmtbench.decoding.grammar import allows, decoder_version
from fmtbench.formats.calls.mistral import MARK, opens
from fmtbench.types import Constraint, FinishReason, Generation, Request


@dataclass(frozen=True, kw_only=True)
class Prompted:
    """A request with its prompt as token ids."""

    request: Request
    ids: list[int]
    neutralised: int = 0
    """How many special tokens the messages spelled out; they were broken up."""
    begun: int = 0
    """How many of the last ids are the beginning of the reply."""

    def excess(self, context: int) -> str:
        """Why the request does not fit into the context; empty if it does."""
        new = self.request.max_tokens
        if len(self.ids) + new <= context:
            return ""
        return f"{len(self.ids)} prompt tokens and {new} new ones exceed the context of {context}"


def prompt(tokenizer: Any, request: Request) -> Prompted:
    """The request's messages under the chat template, and the beginning of the thought that is asked for, or of the reply;
    special tokens are added here and nowhere else.

    A reply that has begun goes after the template's prompt for it, token by token: what templates themselves offer for this
    takes white space off, some of them.
    """
    messages, neutralised = neutral(request.messages, special_tokens(tokenizer))
    asked, begun = parted(messages)
    chat = [{"role": message.role, "content": message.content} for message in asked]
    further = request.chat_template_kwargs
    ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True, **further)["input_ids"]
    if request.thinking is not None:
        ids = opened(tokenizer, ids, request.thinking)
    if "tools" in further and request.constraint is not None:
        ids = [*ids, *mark_before(tokenizer, request.constraint)]
    prefix = tokenizer(begun, add_special_tokens=False)["input_ids"] if begun else []
    return Prompted(request=request, ids=[*ids, *prefix], neutralised=neutralised, begun=len(prefix))


def mark_before(tokenizer: Any, call: Constraint) -> list[int]:
    """The special token that a model writes before such a call, if its tokenizer has it: no grammar can hold one."""
    token = tokenizer.get_vocab().get(MARK) if opens(call) else None
    return [] if token is None else [token]


def prompt_all(tokenizer: Any, requests: Sequence[Request], context: int) -> tuple[list[Prompted], Iterator[Generation]]:
    """The prompts that fit into the context, and an error for each that does not."""
    prompted = [prompt(tokenizer, request) for request in requests]
    return [one for one in prompted if not one.excess(context)], (
        failed(one, why) for one in prompted if (why := one.excess(context))
    )


def failed(prompted: Prompted, error: str) -> Generation:
    """The record of a request on which the engine itself failed; the others go on."""
    return Generation(
        key=prompted.request.key,
        text="",
        finish_reason="error",
        prompt_tokens=len(prompted.ids),
        error=error,
        neutralised=prompted.neutralised,
    )


def finished(
    tokenizer: Any,
    prompted: Prompted,
    ids: Sequence[int],
    reason: FinishReason,
    *,
    seconds: float,
    decoder: str,
    logprobs: Sequence[float] = (),
) -> Generation:
    """The reply with its text, checked against the grammar it was held to. What is still a thought was held to none."""
    thought = split(tokenizer, ids, prompted.request.thinking)
    before = prompted.ids[len(prompted.ids) - prompted.begun :]
    text, token_ends = decode_with_ends(tokenizer, ids[thought.tokens :], before)
    if prompted.request.thinking is not None:
        text, token_ends = thought.before(text, token_ends)
    constraint = prompted.request.constraint
    broken = constraint is not None and reason == "stop" and thought.over and not allows(constraint, text)
    if any(map(math.isnan, logprobs)):
        return failed(prompted, "a log-probability is not a number")
    return Generation(
        key=prompted.request.key,
        text=text,
        token_ids=tuple(ids),
        token_ends=token_ends,
        logprobs=tuple(logprobs),
        finish_reason="error" if broken else reason,
        prompt_tokens=len(prompted.ids),
        seconds=seconds,
        decoder="none" if constraint is None else decoder_version(decoder),
        error="the finished text does not keep to its grammar" if broken else "",
        neutralised=prompted.neutralised,
        thought=thought.text,
        thought_tokens=thought.tokens,
    )


def decode_with_ends(tokenizer: Any, ids: Sequence[int], before: Sequence[int] = ()) -> tuple[str, tuple[int, ...]]:
    """The text, and where in it each token ends; a token inside a character ends where the character begins.

    `before`: what these tokens continue. Some tokenizers write no space before the first word of a text.
    """
    from tokenizers.decoders import DecodeStream

    stream = DecodeStream(skip_special_tokens=True)
    for token in before:
        stream.step(tokenizer.backend_tokenizer, token)
    pieces: list[str] = []
    ends: list[int] = []
    for token in ids:
        pieces.append(stream.step(tokenizer.backend_tokenizer, token) or "")
        ends.append(len(pieces[-1]) + (ends[-1] if ends else 0))
    return "".join(pieces), tuple(ends)
