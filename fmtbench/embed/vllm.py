"""The engine `vllm`: vLLM's pooling runner over a saved folder, for bulk.

It reads pooling, attention and normalising from the folder that `loading.save` writes; the token ids are ours, so that
EOS, template and truncation are the same as with `st`. What its pooler cannot do is refused before anything is loaded.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.backbone import cache_folder
from fmtbench.backends.vllm.setup import ready_vllm, vllm_version
from fmtbench.embed.encoder import Encoder, Loadable, SavedEncoder, read_description
from fmtbench.embed.engines import Embedder, Engine, Vectors
from fmtbench.embed.loading import save
from fmtbench.embed.recipe import Recipe
from fmtbench.embed.saved import saved_recipe
from fmtbench.embed.tokens import Tokens
from fmtbench.errors import UserError

POOLED = ("last_token", "mean", "first")


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class VLLMEngine(Engine):
    """Options of the engine; the names are vLLM's own."""

    gpu_memory_utilization: float = Field(default=0.9, gt=0, le=1)
    max_num_seqs: int = Field(default=256, gt=0)
    enforce_eager: bool = False

    def open(self, encoder: Loadable) -> VLLMEmbedder:
        if isinstance(encoder, Encoder):
            check_recipe(encoder.recipe())
        folder = saved_folder(encoder)
        return VLLMEmbedder(folder, self)


def check_recipe(recipe: Recipe) -> None:
    """Raises `UserError` for what vLLM's pooler cannot do."""
    if recipe.pooling not in POOLED:
        raise UserError(f"engine=vllm pools by {', '.join(POOLED)}, not by {recipe.pooling}: use engine=st")
    if not recipe.include_prompt:
        raise UserError("engine=vllm cannot leave the template's words out of pooling (include_prompt=false): use engine=st")


def saved_folder(encoder: Loadable) -> Path:
    """The encoder as a folder: its own, or one in the cache, written once for each identity."""
    from filelock import FileLock

    if isinstance(encoder, SavedEncoder) and (encoder.template, encoder.max_tokens, encoder.dimensions) == (None,) * 3:
        return encoder.folder()
    folder = cache_folder() / "encoders" / encoder.identity()[:24]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            save(encoder.load(), folder)
    return folder


class VLLMEmbedder(Embedder):
    """A saved folder in vLLM's engine, in this process."""

    def __init__(self, folder: Path, engine: VLLMEngine) -> None:
        from transformers import AutoConfig, AutoTokenizer

        self.recipe = saved_recipe(SavedEncoder(path=str(folder)))
        check_recipe(self.recipe)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self._facts = {"folder": str(folder), **read_description(folder)}
        dtype = AutoConfig.from_pretrained(folder).dtype
        self._llm = _pooling_runner(folder, self.recipe.max_tokens, str(dtype).removeprefix("torch."), engine)

    def vectors(self, tokens: Sequence[Tokens]) -> Vectors:
        outputs = self._llm.embed([{"prompt_token_ids": one.ids} for one in tokens], use_tqdm=False)
        vectors = np.array([output.outputs.embedding for output in outputs], np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def facts(self) -> dict[str, Any]:
        dtype = str(self._llm.model_config.dtype).removeprefix("torch.")
        return {"engine": "vllm", "version": vllm_version("engine=vllm"), "dtype": dtype, "encoder": self._facts}

    def close(self) -> None:
        self._llm.llm_engine.engine_core.shutdown()
        del self._llm
        gc.collect()


def _pooling_runner(folder: Path, max_tokens: int, dtype: str, engine: VLLMEngine) -> Any:
    vllm_version("engine=vllm")
    ready_vllm(own_process=False)
    from vllm import LLM

    return LLM(
        str(folder),
        runner="pooling",
        dtype=dtype,  # vLLM's own choice for float32 weights is float16
        max_model_len=max_tokens,
        enable_prefix_caching=False,  # a mean needs every token's state
        gpu_memory_utilization=engine.gpu_memory_utilization,
        max_num_seqs=engine.max_num_seqs,
        enforce_eager=engine.enforce_eager,
        disable_log_stats=True,
    )
