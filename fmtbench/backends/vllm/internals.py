"""All that leans on what vLLM does not promise: its Outlines backend, its choice of an attention kernel, how it starts and ends.

Outlines gets our vocabulary of bytes, a memory for the masks that it writes, and makes no lists that nobody reads.
"""

from __future__ import annotations

import os
import sys
import threading
from functools import cache
from typing import Any

from fmtbench.decoding.decoders import Outlines
from fmtbench.decoding.guide import EndedGuide
from fmtbench.decoding.mask_memory import MaskMemory
from fmtbench.decoding.worker import ended

SEEN_WITH = {"vllm": "0.32.0", "outlines_core": "0.2.14"}
"""The releases with which all of this was last seen to hold."""
ASKED = "FMTBENCH_OUTLINES_MASKS"
"""Set where an engine of ours starts processes, whose masks are to be ours as well; nobody else's `vllm serve` is touched."""


@cache  # once a process: the classes stay changed
def own_masks() -> None:
    """Let every engine of this process that masks with Outlines have the language of every other engine, and keep its masks."""
    from vllm.v1.structured_output import backend_outlines as theirs
    from vllm.v1.structured_output.utils import OutlinesVocabulary

    made = threading.local()  # vLLM compiles in several threads, each grammar in one
    compile_grammar, compile_index = theirs.OutlinesBackend.compile_grammar, theirs.OutlinesBackend._compile_index

    def start(self: Any) -> None:
        # vLLM's own vocabulary is one of text, in which a character may be left unfinished.
        self.vocabulary, self.cache = OutlinesVocabulary(Outlines(self.tokenizer).vocabulary()), theirs.get_outlines_cache()
        self.memory = MaskMemory()

    def compile_ended(self: Any, regex: str, vocabulary: Any) -> Any:
        made.index = compile_index(self, ended(regex), vocabulary)
        return made.index

    def compile_and_remember(self: Any, request_type: Any, grammar_spec: str, stop_token_ids: set[int] | None = None) -> Any:
        grammar = compile_grammar(self, request_type, grammar_spec, stop_token_ids)
        grammar.eos_token_id = self.tokenizer.eos_token_id
        grammar.guide = EndedGuide(grammar.guide, made.index, grammar.eos_token_id)
        grammar.memory, grammar.spec = self.memory, grammar_spec
        return grammar

    def fill_bitmask(self: Any, bitmask: Any, idx: int) -> None:
        self.memory.fill(bitmask[idx], self.spec, self.guide)

    theirs.OutlinesBackend.__post_init__ = start
    theirs.OutlinesBackend._compile_index = compile_ended
    theirs.OutlinesBackend.compile_grammar = compile_and_remember
    theirs.OutlinesGrammar.fill_bitmask = fill_bitmask


def own_masks_where_asked() -> None:
    """In the processes of an engine that runs apart from ours."""
    if os.environ.get(ASKED):
        own_masks()


def keep_off_amx() -> None:
    """Let attention on CPUs use AVX-512 where vLLM would use AMX.

    vLLM 0.32's AMX kernel is wrong on some Xeons: asked for the capital of France, SmolLM2 says "L'Etoile, la Marseillaise",
    and Paris with the other kernel or with transformers. Nothing fails, so that a study would look like that of a weak model.
    """
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        return
    from vllm.v1.attention.backends import cpu_attn

    chosen = cpu_attn._get_attn_isa
    if getattr(chosen, "keeps_off_amx", False):
        return

    def kept_off(*arguments: Any, **named: Any) -> str:
        isa = chosen(*arguments, **named)
        return "vec" if isa == "amx" else isa

    kept_off.keeps_off_amx = True  # type: ignore[attr-defined]
    cpu_attn._get_attn_isa = kept_off


def give_llvmlite_a_dict() -> None:
    """Let `vars()` of llvmlite's library object be a dict.

    vLLM 0.32's CPU build calls it on everything in every loaded module, and cannot start if numba was loaded before, as
    bm25s does.
    """
    if ffi := sys.modules.get("llvmlite.binding.ffi"):
        ffi.lib._fntab["__dict__"] = {}


def asynchronous(**arguments: Any) -> Any:
    """vLLM's engine for several copies of a model, started; called where an event loop runs."""
    from vllm import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

    return AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments))


def end(engine: Any) -> None:
    """End an engine in this process (`LLM.llm_engine`), which has no such method itself."""
    engine.engine_core.shutdown()
