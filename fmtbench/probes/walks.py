"""Random walks through the masks of several libraries, to find out whether they allow the same tokens after the same text.

A walk is driven by one decoder: each next token is drawn from its mask, and all decoders take it. A decoder that forbids
the token leaves the walk. V is the size of the vocabulary.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import torch

from fmtbench.decoding.decoders import Decoder, Matcher, token_bytes
from fmtbench.decoding.packed import BITS

CLOSING = 0.25
"""How often a token that can close a string or an object is chosen, if there is one, so that walks end."""


@dataclass(kw_only=True)
class Difference:
    """Where the masks of two decoders differ at the same prefixes, over all walks."""

    steps: int = 0
    differing: int = 0
    only: dict[str, torch.Tensor] = field(default_factory=dict)
    """By decoder: for each of V tokens, the number of steps at which only this decoder allowed it."""
    left: int = 0
    """The number of walks that one of the two had to leave."""


class Comparison:
    """Walks through the grammars of several decoders over one tokenizer."""

    def __init__(self, decoders: Mapping[str, Decoder], size: int) -> None:
        self._decoders = decoders
        (self._end,) = {decoder.tokenizer.eos_token_id for decoder in decoders.values()}
        self._words = -(-size // BITS)
        tokenizer = next(iter(decoders.values())).tokenizer
        written = {number: text for text, numbers in token_bytes(tokenizer).items() for number in numbers}
        closing = [number for number, text in written.items() if text.rstrip()[-1:] in (b'"', b"}")]
        self._closing_V = torch.zeros(self._words * BITS, dtype=torch.bool)
        self._closing_V[[*closing, self._end]] = True
        self.differences = {
            pair: Difference(only={name: torch.zeros(self._words * BITS, dtype=torch.int64) for name in pair})
            for pair in combinations(decoders, 2)
        }

    def walk(self, grammars: Mapping[str, Any], driver: str, rng: random.Random, longest: int = 300) -> list[int] | None:
        """The tokens of one walk without the end token; None if it did not end."""
        matchers: dict[str, Matcher] = {name: self._decoders[name].matcher(grammar) for name, grammar in grammars.items()}
        ids: list[int] = []
        while len(ids) < longest:
            words = {name: self._words_of(matcher) for name, matcher in matchers.items()}
            self._compare(words)
            token = self._draw(unpacked(words[driver]), rng)
            if token == self._end:
                return ids
            ids.append(token)
            for name in [name for name, mask in words.items() if not int(mask[token // BITS]) >> token % BITS & 1]:
                del matchers[name]
                for pair in self.differences:
                    self.differences[pair].left += name in pair
            for matcher in matchers.values():
                matcher.advance(token)
        return None

    def _words_of(self, matcher: Matcher) -> torch.Tensor:
        words = torch.zeros(self._words, dtype=torch.int32)
        matcher.fill(words)
        return words

    def _compare(self, words: Mapping[str, torch.Tensor]) -> None:
        for pair, difference in self.differences.items():
            if not words.keys() >= set(pair):
                continue
            difference.steps += 1
            unequal = words[pair[0]] ^ words[pair[1]]
            if unequal.any():
                difference.differing += 1
                for name in pair:
                    difference.only[name] += unpacked(unequal & words[name])

    def _draw(self, mask_V: torch.Tensor, rng: random.Random) -> int:
        closing_V = mask_V & self._closing_V
        allowed = (closing_V if rng.random() < CLOSING and closing_V.any() else mask_V).nonzero()
        return int(allowed[rng.randrange(len(allowed))])


def unpacked(words: torch.Tensor) -> torch.Tensor:
    """The bits of a mask, one for each of V tokens."""
    return ((words[:, None] >> torch.arange(BITS, dtype=torch.int32)) & 1).flatten().bool()


def classify(tokenizer: Any, tokens: Sequence[int]) -> dict[str, list[int]]:
    """Tokens grouped by what they are: special, a piece of a character, other."""
    special = set(tokenizer.all_special_ids) | set(tokenizer.get_added_vocab().values())
    written = {number: text for text, numbers in token_bytes(tokenizer).items() for number in numbers}
    found: dict[str, list[int]] = {}
    for token in tokens:
        text = written.get(token, b"")
        name = "special" if token in special else "piece of a character" if not _whole(text) else "other"
        found.setdefault(name, []).append(token)
    return found


def _whole(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
