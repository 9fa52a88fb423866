"""A decoder's masks, replayed along existing replies: each distinct mask is kept once, and positions refer to it.

A schema has about a dozen distinct masks however long its replies are, so a table of bits and an index per position replace a
mask per position. Shapes: U masks, W words of 32 bits, P positions, V logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch

from fmtbench.backbone import Backbone
from fmtbench.backends.admission import sandbox
from fmtbench.decoding.decoders import DECODERS, DecoderName
from fmtbench.decoding.grammar import decoder_version
from fmtbench.decoding.packed import BITS
from fmtbench.decoding.sandbox import Limits
from fmtbench.types import Constraint


class Walk(NamedTuple):
    """The masks along a reply."""

    masks: list[int]
    """For each position reached, the number of the mask that applies to its token."""
    left: bool
    """Whether the last of these tokens is forbidden by its mask; the walk ends there."""


class Masks:
    """The masks of one decoder over one tokenizer, for a model of `size` logits."""

    def __init__(self, backbone: Backbone, decoder: DecoderName, tokenizer: Any, size: int, limits: Limits) -> None:
        self.name, self.version, self.size = decoder, decoder_version(decoder), size
        self._decoder, self._end = DECODERS[decoder](tokenizer), tokenizer.eos_token_id
        self._sandbox = sandbox(backbone, decoder, limits)
        self._grammar = lru_cache(maxsize=256)(self._load)
        self._words = -(-size // BITS)
        self._number: dict[bytes, int] = {}
        self._table: list[torch.Tensor] = []

    def _load(self, constraint: Constraint) -> Any:
        """Raises `BarredError` for a grammar that this decoder cannot compile."""
        return self._decoder.load(self._sandbox.payload(constraint))

    def walk(self, constraint: Constraint, ids: Sequence[int]) -> Walk:
        """The walk along these tokens, up to the first that is forbidden. Raises `BarredError`."""
        matcher = self._decoder.matcher(self._grammar(constraint))
        masks: list[int] = []
        for token in ids:
            words = torch.zeros(self._words, dtype=torch.int32)
            matcher.fill(words)
            masks.append(self._keep(words))
            if not int(words[token // BITS]) >> token % BITS & 1:
                return Walk(masks, left=True)
            matcher.advance(token)
        return Walk(masks, left=False)

    def after(self, constraint: Constraint, ids: Sequence[int]) -> int | None:
        """The mask that applies after these tokens; None if the grammar forbids one of them. Raises `BarredError`."""
        along = self.walk(constraint, [*ids, self._end])
        return None if len(along.masks) <= len(ids) else along.masks[-1]

    def _keep(self, words: torch.Tensor) -> int:
        key = words.numpy().tobytes()
        if key not in self._number:
            self._number[key] = len(self._table)
            self._table.append(words)
        return self._number[key]

    def allowed(self, masks: Sequence[int], device: torch.device) -> torch.Tensor:
        """Whether each token is allowed at each position, P x V, unpacked on the device of the logits."""
        different = sorted(set(masks))
        words_UW = torch.stack([self._table[number] for number in different]).to(device)
        bits_UV = ((words_UW[:, :, None] >> torch.arange(BITS, dtype=torch.int32, device=device)) & 1).flatten(1)[:, : self.size]
        place = {number: row for row, number in enumerate(different)}
        return bits_UV.bool()[torch.tensor([place[number] for number in masks], device=device)]
