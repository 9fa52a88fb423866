"""How a reply is spelt in tokens, compared with how the tokenizer would have spelt the same text.

A mask allows any tokens whose characters its grammar allows, so it can also make a model write `re|as|on|ing` where the tokenizer
has one token, and the model continues from a sequence that it never saw in training (known about masks since DOMINO,
Beurer-Kellner et al. 2024, arXiv 2403.06988). A token of a reply is *respelt* if the tokenizer, given the text of the whole
reply, has no token that writes the same bytes at the same place. No weights are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from fmtbench.decoding.decoders import token_bytes
from fmtbench.probes.replies import ProbedReply, Problem, problem_of


class Spelling(NamedTuple):
    """The spelling of one reply. `respelt` has one value per token, False for an end token; it is empty if there is a problem."""

    respelt: tuple[bool, ...]
    problem: Problem | None


class Speller:
    """A tokenizer, and the bytes that each of its tokens writes."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self._written = {token: text for text, tokens in token_bytes(tokenizer).items() for token in tokens}
        self._special = frozenset(tokenizer.all_special_ids)

    def spelling(self, one: ProbedReply) -> Spelling:
        if problem := problem_of(one, self.tokenizer):
            return Spelling((), problem)
        generation = one.generation
        ids = [token for place, token in enumerate(generation.token_ids) if not self._ends(one, place)]
        if self._special.intersection(ids):
            return Spelling((), "special_inside")
        usual = self.tokenizer(generation.text, add_special_tokens=False)["input_ids"]
        if self._text(ids) != self._text(usual):  # half a character at a cut, or a tokenizer that adds a space
            return Spelling((), "not_reproduced")
        known = set(self._places(usual))
        respelt = [place not in known for place in self._places(ids)]
        return Spelling((*respelt, *[False] * (len(generation.token_ids) - len(ids))), None)

    def _ends(self, one: ProbedReply, place: int) -> bool:
        return one.parts[place] == "end" and one.generation.token_ids[place] in self._special

    def _text(self, ids: Sequence[int]) -> bytes:
        return b"".join(self._written[token] for token in ids)

    def _places(self, ids: Sequence[int]) -> list[tuple[int, int]]:
        """Start and end of each token in the bytes of the text."""
        ends = list(accumulate(len(self._written[token]) for token in ids))
        return list(zip([0, *ends], ends))
