"""Choosing the next token of each row: first the decoder's mask, then greedy or seeded sampling among what it leaves.

The automata are the decoder's own; only the bit mask is unpacked here, in plain torch, because the kernels of Outlines
and llguidance are compiled at run time and need a C++ compiler on the machine. S slots, V size of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from fmtbench.backends.draws import draw
from fmtbench.backends.mask_bank import MaskBank
from fmtbench.decoding.decoders import Matcher
from fmtbench.types import Request


class Chooser:
    """The state of a batch: an automaton for each row with a constraint, and how many tokens each row has."""

    def __init__(self, requests: Sequence[Request], matchers: Sequence[Matcher | None], bank: MaskBank | None = None) -> None:
        """A bank that outlives the batch has its masks already."""
        self._requests = requests
        self._matchers = matchers
        self._bank = bank
        self._steps = [0] * len(requests)

    def __call__(self, rows: Sequence[int], logits_SV: torch.Tensor) -> list[int]:
        """One token for each slot; `rows` says which row each slot holds."""
        self._mask(rows, logits_SV)
        tokens: list[int] = logits_SV.argmax(-1).tolist()
        drawing = [slot for slot, row in enumerate(rows) if self._requests[row].temperature > 0]
        if drawing:
            of = [rows[slot] for slot in drawing]
            drawn = draw(logits_SV[drawing], [self._requests[row] for row in of], [self._steps[row] for row in of])
            for slot, token in zip(drawing, drawn):
                tokens[slot] = token
        for slot, row in enumerate(rows):
            self._advance(row, tokens[slot])
        return tokens

    def _mask(self, rows: Sequence[int], logits_SV: torch.Tensor) -> None:
        """Forbid, in place, what the automata do not allow next."""
        held = [(slot, matcher) for slot, row in enumerate(rows) if (matcher := self._matchers[row]) is not None]
        if not held:
            return
        if self._bank is None:
            self._bank = MaskBank(logits_SV.shape[-1], logits_SV.device, len(self._requests))
        forbidden_SV = self._bank.forbidden([matcher for _, matcher in held])
        if len(held) == len(logits_SV):
            logits_SV.masked_fill_(forbidden_SV, -torch.inf)
        else:
            slots = torch.tensor([slot for slot, _ in held], device=logits_SV.device)
            logits_SV[slots] = logits_SV[slots].masked_fill(forbidden_SV, -torch.inf)

    def _advance(self, row: int, token: int) -> None:
        self._steps[row] += 1
        if (matcher := self._matchers[row]) is not None:
            matcher.advance(token)
