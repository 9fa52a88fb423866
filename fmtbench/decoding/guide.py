"""The place of one reply in an automaton of outlines_core, whose texts have their end written out (`worker.ended`).

The end token writes `worker.END`, which a pattern may allow inside of a text as well (`[^F]*`). So the reply may end only where
that leads to the end of the automaton.
"""

from __future__ import annotations

from typing import Any

from fmtbench.decoding.packed import BITS, bit


class EndedGuide:
    """An `outlines_core.Guide` that knows which token ends a reply.

    It advances without the list of all allowed tokens that `Guide.advance` makes: nearly the whole vocabulary inside of a string,
    and vLLM 0.32 drops it.
    """

    def __init__(self, guide: Any, index: Any, end: int) -> None:
        self._guide, self._index, self._end = guide, index, end

    def __getattr__(self, name: str) -> Any:
        return getattr(self._guide, name)

    def advance(self, token: int) -> None:
        self._guide.advance(token, return_tokens=False)

    def is_finished(self) -> bool:
        """Whether the reply may end here."""
        after = self._index.get_next_state(self._guide.get_state(), self._end)
        return after is not None and bool(self._index.is_final_state(after))

    def mask(self, size: int) -> Any:
        """What may come next, in a tensor of `size` words of int32."""
        import torch

        # outlines_core asks for room for one token more, its own end (`decoders.NOBODYS`).
        words = torch.zeros(size + 1, dtype=torch.int32)
        self._guide.write_mask_into(words.data_ptr(), words.numel(), words.element_size())
        if not self.is_finished():
            words[self._end // BITS] &= ~bit(self._end)
        return words[:size].clone()
