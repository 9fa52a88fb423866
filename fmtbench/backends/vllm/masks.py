"""vLLM's Outlines backend with our vocabulary of bytes, a memory for the masks that it writes, and no lists that nobody reads.

All that leans on private names of vLLM's backend is here; seen to hold with vLLM 0.32.0 and outlines_core 0.2.14.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from fmtbench.decoding.decoders import Outlines
from fmtbench.decoding.mask_memory import MaskMemory

ASKED = "FMTBENCH_OUTLINES_MASKS"
"""Set where an engine of ours starts processes, whose masks are to be ours as well; nobody else's `vllm serve` is touched."""


class SilentGuide:
    """An `outlines_core.Guide` that does not list what is allowed after each token.

    vLLM 0.32 advances with `guide.advance(token)`, which makes a Python list of all allowed tokens, nearly the whole vocabulary
    inside of a string, and drops it.
    """

    def __init__(self, guide: Any) -> None:
        self._guide = guide

    def advance(self, token: int) -> None:
        self._guide.advance(token, return_tokens=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._guide, name)


@cache  # once a process: the classes stay changed
def own_masks() -> None:
    """Let every engine of this process that masks with Outlines have the language of every other engine, and keep its masks."""
    from outlines_core import Vocabulary
    from vllm.v1.structured_output import backend_outlines as theirs
    from vllm.v1.structured_output.utils import OutlinesVocabulary

    compile_grammar = theirs.OutlinesBackend.compile_grammar

    def start(self: Any) -> None:
        # vLLM's own vocabulary is one of text, in which a character may be left unfinished.
        vocabulary = Vocabulary(self.tokenizer.eos_token_id, Outlines(self.tokenizer).written())
        self.vocabulary, self.cache = OutlinesVocabulary(vocabulary), theirs.get_outlines_cache()
        self.memory = MaskMemory()

    def compile_and_remember(self: Any, request_type: Any, grammar_spec: str, stop_token_ids: set[int] | None = None) -> Any:
        grammar = compile_grammar(self, request_type, grammar_spec, stop_token_ids)
        grammar.guide, grammar.memory, grammar.spec = SilentGuide(grammar.guide), self.memory, grammar_spec
        return grammar

    def fill_bitmask(self: Any, bitmask: Any, idx: int) -> None:
        self.memory.fill(bitmask[idx], self.spec, self.guide)

    theirs.OutlinesBackend.__post_init__ = start
    theirs.OutlinesBackend.compile_grammar = compile_and_remember
    theirs.OutlinesGrammar.fill_bitmask = fill_bitmask


def own_masks_where_asked() -> None:
    """In the processes of an engine that runs apart from ours."""
    if os.environ.get(ASKED):
        own_masks()
