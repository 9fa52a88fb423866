"""Masks kept where the logits are: one that a batch has met is neither sent nor unpacked again.

A schema has about fourteen different masks, however many rows and steps: a step then sends a number a row. S rows, V size of the
vocabulary, K lines of the bank.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence

import torch

from fmtbench.decoding.decoders import Matcher
from fmtbench.decoding.packed import BITS

BYTES = 64 * 2**20
"""The bank's size on the device: 1,300 masks of a vocabulary of 49,152, or 440 of one of 152,064."""


class MaskBank:
    """The last masks that were used, unpacked."""

    def __init__(self, vocabulary: int, device: torch.device, rows: int) -> None:
        """At least two masks for each of the `rows` that may ask at once, so that none is overwritten while it is needed."""
        self.vocabulary = vocabulary
        lines = max(BYTES // vocabulary, 2 * rows)
        self._forbidden_KV = torch.empty((lines, vocabulary), dtype=torch.bool, device=device)
        self._lines: OrderedDict[Hashable, int] = OrderedDict()
        self.bytes_sent = 0
        """How many were sent to the device so far."""

    def forbidden(self, matchers: Sequence[Matcher]) -> torch.Tensor:
        """S x V booleans on the device: what each of the matchers forbids next."""
        # A mask without a name is never met again.
        names = [object() if (name := matcher.mask()) is None else name for matcher in matchers]
        for name in names:
            if name in self._lines:
                self._lines.move_to_end(name)
        new = {name: matcher for name, matcher in zip(names, matchers) if name not in self._lines}
        if new:
            self._write(new)
        lines_S = torch.tensor([self._lines[name] for name in names])
        self.bytes_sent += lines_S.nbytes
        return self._forbidden_KV[lines_S.to(self._forbidden_KV.device)]

    def _write(self, new: dict[Hashable, Matcher]) -> None:
        """Packed words are sent, an eighth of the size of the booleans that they become on the device."""
        device = self._forbidden_KV.device
        words_NW = torch.zeros((len(new), -(-self.vocabulary // BITS)), dtype=torch.int32)
        for words_W, matcher in zip(words_NW, new.values()):
            matcher.fill(words_W)
        lines_N = torch.tensor([self._line(name) for name in new])
        self.bytes_sent += words_NW.nbytes + lines_N.nbytes
        bits_NV = (words_NW.to(device)[:, :, None] >> torch.arange(BITS, dtype=torch.int32, device=device)) & 1
        self._forbidden_KV[lines_N.to(device)] = (bits_NV == 0).flatten(1)[:, : self.vocabulary]

    def _line(self, name: Hashable) -> int:
        """A free line, or that of the least recently used mask."""
        free = len(self._lines)
        line = free if free < len(self._forbidden_KV) else self._lines.popitem(last=False)[1]
        self._lines[name] = line
        return line
