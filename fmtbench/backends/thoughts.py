"""A thought and the reply that follows it: begun in the prompt, and told apart afterwards, in token ids and in text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from fmtbench.types import Thinking

TAIL = 64
"""How many tokens at the end of a prompt are searched for the beginning of a thought."""
MOST = 256
"""The most characters that one token writes."""


class Thought(NamedTuple):
    """What comes before a reply."""

    text: str = ""
    tokens: int = 0
    """Including those of the mark that ends it."""
    over: bool = True
    """Whether the reply has begun; without a thought it begins at once."""
    rest: str = ""
    """The beginning of the reply that was written by the token that completes the end."""

    def before(self, text: str, ends: Sequence[int]) -> tuple[str, tuple[int, ...]]:
        """The reply without the white space that it begins with, and where each token ends in it, those of the thought first.

        Servers that keep thoughts apart leave out this white space as well.
        """
        whole = self.rest + text
        lead = len(whole) - len(whole.lstrip())
        moved = len(self.rest) - lead
        own = [0] * (self.tokens - 1) + [max(0, moved)] if self.tokens else []
        return whole[lead:], (*own, *(max(0, end + moved) for end in ends))


def opened(tokenizer: Any, ids: list[int], thinking: Thinking) -> list[int]:
    """A prompt in which the thought has begun: some chat templates begin it, others leave that to the model."""
    if tokenizer.decode(ids[-TAIL:]).rstrip().endswith(thinking.opens.strip()):
        return ids
    return [*ids, *tokenizer.encode(thinking.opens, add_special_tokens=False)]


def split(tokenizer: Any, ids: Sequence[int], thinking: Thinking | None) -> Thought:
    """The thought at the beginning of generated tokens: all of them where nothing ends it."""
    if thinking is None:
        return Thought()
    from tokenizers.decoders import DecodeStream

    stream, written = DecodeStream(skip_special_tokens=False), ""
    for count, token in enumerate(ids, start=1):
        written += stream.step(tokenizer.backend_tokenizer, token) or ""
        if thinking.closes in written[-len(thinking.closes) - MOST :]:
            thought, reply = divided(written, thinking)
            return Thought(thought, count, True, reply)
    return Thought(bare(tokenizer.decode(ids, skip_special_tokens=True), thinking), len(ids), False)


def divided(text: str, thinking: Thinking) -> tuple[str, str]:
    """The thought and the reply of a text in which both stand; without a mark that ends a thought it is all thought."""
    thought, _, reply = text.partition(thinking.closes)
    return bare(thought, thinking), reply


def told_apart(text: str, thinking: Thinking) -> tuple[str, str]:
    """The thought and the reply of a text that may hold both: a reply alone where it neither begins nor ends a thought."""
    if thinking.closes in text:
        thought, reply = divided(text, thinking)
        return thought, reply.lstrip()
    if text.lstrip().startswith(thinking.opens.strip()):
        return bare(text, thinking), ""
    return "", text


def bare(thought: str, thinking: Thinking) -> str:
    """A thought without the marks around it."""
    forced, _, _ = thinking.forced.partition(thinking.closes)
    return thought.removesuffix(forced).strip().removeprefix(thinking.opens.strip()).strip()
