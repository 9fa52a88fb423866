"""vLLM's Outlines backend, with a memory for the masks that it writes."""

from __future__ import annotations

from functools import cache
from typing import Any

from fmtbench.decoding.mask_memory import MaskMemory


@cache  # once a process: the classes stay changed
def remember_masks() -> None:
    """Let every engine of this process that masks with Outlines keep its masks; what they allow stays the same."""
    from vllm.v1.structured_output.backend_outlines import OutlinesBackend, OutlinesGrammar

    compile_grammar = OutlinesBackend.compile_grammar

    def compile_and_remember(self: Any, request_type: Any, grammar_spec: str, stop_token_ids: set[int] | None = None) -> Any:
        grammar = compile_grammar(self, request_type, grammar_spec, stop_token_ids)
        grammar.memory = self.__dict__.setdefault("memory", MaskMemory())
        grammar.spec = grammar_spec
        return grammar

    def fill_bitmask(self: Any, bitmask: Any, idx: int) -> None:
        self.memory.fill(bitmask[idx], self.spec, self.guide)

    OutlinesBackend.compile_grammar = compile_and_remember
    OutlinesGrammar.fill_bitmask = fill_bitmask
