"""`vllm`: vLLM's pooling runner over a saved folder, for bulk.

vLLM reads pooling, attention and normalisation from the folder that `loading.save` writes. The token ids are ours, so that
EOS, template and truncation are the same as with `st`. What its pooler cannot do is an error before anything is loaded.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.backbone import cache_folder
from fmtbench.backends.vllm.internals import end
from fmtbench.backends.vllm.setup import ready_vllm, vllm_version
from fmtbench.embed.description import read_description
from fmtbench.embed.embedder import EmbedBackend, Embedder, Loadable, Vectors
from fmtbench.embed.encoder import Encoder
from fmtbench.embed.loading import save
from fmtbench.embed.saved import SavedEncoder, ready, saved_spec
from fmtbench.embed.spec import EncoderSpec
from fmtbench.embed.tokens import Tokens
from fmtbench.errors import UserError

POOLED = ("last_token", "mean", "first")


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class VLLMEmbedBackend(EmbedBackend):
    """vLLM in this process; the names of its options are vLLM's own."""

    score_key: ClassVar[str] = "VLLMEngine"
    gpu_memory_utilization: float = Field(default=0.9, gt=0, le=1)
    max_num_seqs: int = Field(default=256, gt=0)
    enforce_eager: bool = False

    def open(self, encoder: Loadable) -> VLLMEmbedder:
        if isinstance(encoder, SavedEncoder):
            return VLLMEmbedder(encoder.folder(), saved_spec(encoder), self)
        if isinstance(encoder, Encoder):
            check_poolable(encoder.spec())
        folder = saved_folder(encoder)
        return VLLMEmbedder(folder, saved_spec(SavedEncoder(path=str(folder))), self)


def check_poolable(spec: EncoderSpec) -> None:
    """Raises `UserError` for what vLLM's pooler cannot do."""
    if spec.pooling not in POOLED:
        raise UserError(f"embed_backend=vllm pools by {', '.join(POOLED)}, not by {spec.pooling}: use embed_backend=st")
    if spec.skip_first:
        raise UserError("embed_backend=vllm cannot leave the first token out of a mean (skip_first=true): use embed_backend=st")
    if spec.projections:
        raise UserError("embed_backend=vllm is not known to run Dense modules after pooling: use embed_backend=st")
    if not spec.include_prompt:
        raise UserError(
            "embed_backend=vllm cannot leave the template's words out of pooling (include_prompt=false): use embed_backend=st"
        )


def saved_folder(encoder: Loadable) -> Path:
    """The encoder as a folder in the cache, written once per identity."""
    from filelock import FileLock

    folder = cache_folder() / "encoders" / encoder.identity()[:24]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            save(encoder.load(), folder)
    return folder


class VLLMEmbedder(Embedder):
    """A saved folder in vLLM's engine, in this process."""

    def __init__(self, folder: Path, spec: EncoderSpec, backend: VLLMEmbedBackend) -> None:
        from transformers import AutoConfig, AutoTokenizer

        self.spec = spec
        check_poolable(spec)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        ready(self.tokenizer, spec)
        self._facts = {"folder": str(folder), **read_description(folder)}
        dtype = AutoConfig.from_pretrained(folder).dtype
        self._llm = _pooling_runner(folder, spec, str(dtype).removeprefix("torch."), backend)

    def vectors(self, tokens: Sequence[Tokens]) -> Vectors:
        outputs = self._llm.embed([{"prompt_token_ids": one.ids} for one in tokens], use_tqdm=False)
        vectors = np.array([output.outputs.embedding for output in outputs], np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def facts(self) -> dict[str, Any]:
        dtype = str(self._llm.model_config.dtype).removeprefix("torch.")
        return {"engine": "vllm", "version": vllm_version("embed_backend=vllm"), "dtype": dtype, "encoder": self._facts}

    def close(self) -> None:
        end(self._llm.llm_engine)
        del self._llm
        gc.collect()


def _pooling_runner(folder: Path, spec: EncoderSpec, dtype: str, backend: VLLMEmbedBackend) -> Any:
    vllm_version("embed_backend=vllm")
    ready_vllm(own_process=False)
    from vllm import LLM

    return LLM(
        str(folder),
        runner="pooling",
        load_format="safetensors",
        dtype=dtype,  # left to itself, vLLM runs float32 weights in float16
        max_model_len=spec.max_tokens,
        hf_overrides={} if spec.attention is None else {"is_causal": spec.attention == "causal"},
        enable_prefix_caching=False,  # a mean needs every token's state
        gpu_memory_utilization=backend.gpu_memory_utilization,
        max_num_seqs=backend.max_num_seqs,
        enforce_eager=backend.enforce_eager,
        disable_log_stats=True,
    )
