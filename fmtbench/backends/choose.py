"""Choosing the next token of each row: first the decoder's mask, then greedy or seeded sampling among what it leaves.

The automata are the decoder's own; only the bit mask is unpacked here, in plain torch, because the kernels of Outlines
and llguidance are compiled at run time and need a C++ compiler on the machine. S slots, V size of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import TopPLogitsWarper

from fmtbench.decoding.decoders import BITS, Matcher
from fmtbench.types import Request


class Chooser:
    """The state of a batch: an automaton for each row with a constraint, a generator for each row that samples."""

    def __init__(self, requests: Sequence[Request], matchers: Sequence[Matcher | None]) -> None:
        self._requests = requests
        self._matchers = matchers
        self._generators = [torch.Generator().manual_seed(request.seed or 0) for request in requests]

    def __call__(self, rows: Sequence[int], logits_SV: torch.Tensor) -> list[int]:
        """One token for each slot; `rows` says which row each slot holds."""
        self._mask(rows, logits_SV)
        tokens = logits_SV.argmax(-1).tolist()
        for slot, row in enumerate(rows):
            if self._requests[row].temperature > 0:
                tokens[slot] = sample(logits_SV[slot], self._requests[row], self._generators[row])
            self._advance(row, tokens[slot])
        return tokens

    def _mask(self, rows: Sequence[int], logits_SV: torch.Tensor) -> None:
        """Forbid, in place, what the automata do not allow next."""
        held = [(slot, matcher) for slot, row in enumerate(rows) if (matcher := self._matchers[row]) is not None]
        if not held:
            return
        words = torch.zeros((len(held), -(-logits_SV.shape[-1] // BITS)), dtype=torch.int32)
        for line, (_, matcher) in zip(words, held):
            matcher.fill(line)
        allowed = (words[:, :, None] >> torch.arange(BITS, dtype=torch.int32)) & 1
        forbidden = (allowed == 0).flatten(1)[:, : logits_SV.shape[-1]].to(logits_SV.device)
        slots = torch.tensor([slot for slot, _ in held], device=logits_SV.device)
        logits_SV[slots] = logits_SV[slots].masked_fill(forbidden, -torch.inf)

    def _advance(self, row: int, token: int) -> None:
        if (matcher := self._matchers[row]) is not None:
            matcher.advance(token)


def sample(logits_V: torch.Tensor, request: Request, generator: torch.Generator) -> int:
    """A draw from softmax(logits / temperature) within the nucleus; its noise depends on the request's seed alone.

    Uses the Gumbel-max trick: minus the logarithm of an exponential waiting time is Gumbel noise.
    """
    scaled_V = logits_V / request.temperature
    if request.top_p < 1:
        scaled_V = TopPLogitsWarper(request.top_p)(None, scaled_V[None])[0]
    waits_V = torch.empty(len(logits_V)).exponential_(generator=generator).to(logits_V.device)
    return int((scaled_V - waits_V.log()).argmax())
