"""The mask that begins after a thought: anything is allowed until the thought ends, and then what the constraint allows.

A thought ends where the text that ends it is complete, whatever tokens wrote it; or where its budget is spent, and then the
tokens of that text are the only ones allowed, one after the other (budget forcing, Muennighoff et al. 2025, arXiv 2501.19393).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from typing import Any

from fmtbench.decoding.decoders import Matcher
from fmtbench.decoding.packed import BITS, bit
from fmtbench.types import Thinking


class ThoughtWatch:
    """Follows the thought of one reply, token by token."""

    def __init__(self, tokenizer: Any, thinking: Thinking) -> None:
        from tokenizers.decoders import DecodeStream

        self._tokenizer = tokenizer.backend_tokenizer
        self._stream = DecodeStream(skip_special_tokens=False)
        self._closes = thinking.closes
        self._tail = ""
        self._left = thinking.tokens
        self._end: list[int] = tokenizer.encode(thinking.forced, add_special_tokens=False)
        self._last: deque[int] = deque(maxlen=len(self._end))
        self._due: deque[int] = deque()
        self._closed = False

    @property
    def over(self) -> bool:
        """Whether the reply has begun."""
        return self._closed and not self._due

    @property
    def due(self) -> int | None:
        """The token that has to come next; None if the model is free."""
        return self._due[0] if self._due else None

    def advance(self, token: int) -> None:
        """Take a token of the thought."""
        piece = self._stream.step(self._tokenizer, token) or ""
        self._closed = self._closed or self._closes in self._tail + piece
        self._tail = (self._tail + piece)[-len(self._closes) :]
        self._last.append(token)
        if self._due:
            self._due.popleft()
        elif self._left is not None and not self._closed:
            self._left -= 1
            if self._left <= 0:
                self._due.extend(self._end[_begun(list(self._last), self._end) :])


def _begun(written: Sequence[int], end: Sequence[int]) -> int:
    """How many of the end's first tokens the model has written last, of its own accord."""
    return next(size for size in range(len(written), -1, -1) if list(written[len(written) - size :]) == list(end[:size]))


class AfterThought(Matcher):
    """A reply that begins with a thought, and the mask of what follows it; None where that is free."""

    def __init__(self, watch: ThoughtWatch, reply: Matcher | None) -> None:
        self._watch = watch
        self._reply = reply

    def mask(self) -> Hashable | None:
        if (token := self._watch.due) is not None:
            return "due", token
        if self._watch.over and self._reply is not None:
            return self._reply.mask()
        return "everything"

    def fill(self, words: Any) -> None:
        if (token := self._watch.due) is not None:
            words[token // BITS] = bit(token)
        elif self._watch.over and self._reply is not None:
            self._reply.fill(words)
        else:
            words.fill_(-1)

    def advance(self, token: int) -> None:
        if not self._watch.over:
            self._watch.advance(token)
        elif self._reply is not None:
            self._reply.advance(token)
