"""vLLM in process: for GPUs, and with its CPU build for tests of the same code.

The engine is stepped instead of being called for the whole list, so that each request is yielded as it finishes, at the
engine's own throughput. A bounded window of requests is in flight, so that a list of a million is never inside the engine
at once. The masking library is a setting of the engine: `decoder` is passed on with no fall-back, and every decoder gets
the same regular expression, so that the language is the same everywhere.
"""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.backbone import Backbone, load_tokenizer, prepare, template_hash
from fmtbench.backends.admission import MaskingBackend
from fmtbench.backends.base import Session
from fmtbench.backends.device import device_name
from fmtbench.backends.proof import proven
from fmtbench.backends.tokens import Prompted, failed, finished, prompt_all
from fmtbench.backends.vllm.internals import ASKED, end, own_masks
from fmtbench.backends.vllm.setup import ready_vllm, vllm_version
from fmtbench.decoding.decoders import masks_version
from fmtbench.decoding.grammar import decoder_version, regex
from fmtbench.errors import EngineFault
from fmtbench.time_limit import time_limit
from fmtbench.types import Constraint, Generation, Request

COMPILE_SECONDS = "120"
"""vLLM gives a regex five seconds to compile, and after that answers with an empty text."""

CPU_BATCH_TOKENS = 4096
"""Most tokens that a step reads: vLLM's own default on CPUs, unless the context is longer."""


@dataclass(kw_only=True, config=ConfigDict(extra="forbid"))
class VLLM(MaskingBackend):
    """Options of the vLLM engine, under vLLM's own names."""

    tensor_parallel_size: int = Field(default=1, gt=0)
    data_parallel_size: int = Field(default=1, gt=0)
    """Copies of the model, each on its own GPUs, that share the requests."""
    gpu_memory_utilization: float = Field(default=0.9, gt=0, le=1)
    max_num_seqs: int = Field(default=64, gt=0)
    """Most requests that the engine runs together."""
    enforce_eager: bool = False
    """No compiled graphs: a faster start, a slower run."""
    quantization: str | None = None
    batch_invariant: bool = False
    """Results that do not depend on the batch, on hardware for which vLLM offers that."""
    window: int = Field(default=4, gt=0)
    """Requests in flight, as a multiple of `max_num_seqs`."""
    own_process: bool = False
    """Run the engine in a process of its own: it starts more slowly, but a broken GPU context, a crash or a hang inside
    compiled code is survived as well. Always so with `data_parallel_size` above 1.
    """
    check_nan: bool = True
    """Treat a NaN among the logits as a fault."""
    step_seconds: float = Field(default=600.0, gt=0)
    """Longest time for one step of the engine, after which it counts as stuck."""

    @property
    def apart(self) -> bool:
        """Whether the engine runs in a process of its own."""
        return self.own_process or self.data_parallel_size > 1

    def identity(self, backbone: Backbone, constraint: Constraint | None) -> str:
        identity = {
            "engine": "vllm",
            "vllm": vllm_version("backend=vllm"),
            "weights": backbone.resolve().fingerprint,
            "dtype": backbone.dtype,
            "quantization": self.quantization,
            "batch_invariant": self.batch_invariant,
        }
        if constraint is not None:
            identity |= {"decoder": decoder_version(self.decoder)}
        if constraint is not None and self.decoder == "outlines":
            identity |= {"masks": masks_version(self.decoder, constraint)}
        return json.dumps(identity)

    def capacity(self, backbone: Backbone) -> str:
        return json.dumps(
            {
                "context": backbone.context,
                "device": device_name("auto"),
                "tensor_parallel_size": self.tensor_parallel_size,
                "gpu_memory_utilization": self.gpu_memory_utilization,
                "max_num_seqs": self.max_num_seqs,
            }
        )

    def why_unthinkable(self, *, budget: bool, masked: bool) -> str:
        if not (budget or masked):
            return ""
        what = "ends no thought at a number of tokens" if budget else "holds a constraint from the first token on"
        return (
            f"vLLM in this process {what}: use backend=hf, or `vllm serve --reasoning-parser NAME` with backend=server, "
            "whose constraints begin after the thought"
        )

    def open(self, backbone: Backbone) -> VLLMSession:
        return proven(VLLMSession(self, backbone))


class VLLMSession(Session):
    """A running vLLM engine, in this process or apart from it."""

    def __init__(self, options: VLLM, backbone: Backbone) -> None:
        ready_vllm(own_process=options.apart)
        os.environ[ASKED] = "1"
        os.environ["VLLM_REGEX_COMPILATION_TIMEOUT_S"] = COMPILE_SECONDS
        os.environ["VLLM_BATCH_INVARIANT"] = str(int(options.batch_invariant))
        os.environ["VLLM_RAISE_ON_LOGIT_NANS"] = str(int(options.check_nan))
        self._options = options
        self._weights = backbone.resolve()
        self._context = backbone.context
        self._tokenizer = load_tokenizer(self._weights)
        self.llm: Any = None
        """vLLM's own object, where the engine runs in this process."""
        self._engine: Any = self._started(self._arguments(backbone))

    def _arguments(self, backbone: Backbone) -> dict[str, Any]:
        from vllm.config import StructuredOutputsConfig
        from vllm.platforms import current_platform

        # On CPUs a seeded request whose prompt is read in pieces stops the engine, because what a generator drew for a
        # piece cannot be taken back there. So prompts are read whole.
        whole = {"enable_chunked_prefill": False, "max_num_batched_tokens": max(backbone.context, CPU_BATCH_TOKENS)}
        return (whole if current_platform.is_cpu() else {}) | {
            "model": str(prepare(self._weights)),
            "revision": self._weights.revision,
            "load_format": "safetensors",  # vLLM would take a pickle as well
            "dtype": backbone.dtype,
            "max_model_len": backbone.context,
            "structured_outputs_config": StructuredOutputsConfig(backend=self._options.decoder),
            "generation_config": "vllm",  # the sampling defaults a model ships with stay out: only the request decides
            "tensor_parallel_size": self._options.tensor_parallel_size,
            "gpu_memory_utilization": self._options.gpu_memory_utilization,
            "max_num_seqs": self._options.max_num_seqs,
            "enforce_eager": self._options.enforce_eager,
            "quantization": self._options.quantization,
        }

    def _started(self, arguments: dict[str, Any]) -> Any:
        if self._options.apart:
            from fmtbench.backends.vllm.apart import EngineApart

            return EngineApart(**arguments, data_parallel_size=self._options.data_parallel_size)
        from vllm import LLM

        own_masks()
        self.llm = LLM(**arguments)
        return self.llm.llm_engine

    def generate(self, requests: Sequence[Request], at_most: int | None = None) -> Iterator[Generation]:
        prompted, too_long = prompt_all(self._tokenizer, requests, self._context)
        yield from too_long
        # Sorted by prompt, so that requests with a common beginning meet in the prefix cache.
        waiting = deque(sorted(prompted, key=lambda one: one.ids))
        flying: dict[str, tuple[Prompted, float]] = {}
        clock = 0.0
        while waiting or flying:
            while waiting and len(flying) < min(self._window, at_most or self._window):
                one = waiting.popleft()
                if refusal := self._add(one):
                    yield failed(one, refusal)
                else:
                    flying[one.request.key] = one, clock
            if not flying:
                continue
            started = time.perf_counter()
            outputs = self._step(list(flying))
            # Time is divided among the requests in flight: the seconds of all requests sum to the wall time.
            clock += (time.perf_counter() - started) / len(flying)
            for output in outputs:
                if output.finished:
                    one, entered = flying.pop(output.request_id)
                    yield self._generation(one, output.outputs[0], clock - entered)

    @property
    def _window(self) -> int:
        return self._options.window * self._options.max_num_seqs * self._options.data_parallel_size

    def _add(self, one: Prompted) -> str:
        """Hand a request to the engine; returns why it turned the request down, or an empty text."""
        try:
            self._engine.add_request(one.request.key, {"prompt_token_ids": one.ids}, self.parameters(one.request))
        except ValueError as error:  # what vLLM raises for a request that it cannot serve
            return f"vLLM turned the request down: {error}"
        return ""

    def _step(self, in_flight: Sequence[str]) -> list[Any]:
        """One step of the engine. Raises `EngineFault` if it fails or does not return in time."""
        import torch
        from vllm.exceptions import VLLMServerError

        try:
            with time_limit(self._options.step_seconds):
                return self._engine.step()
        except TimeoutError as error:
            raise EngineFault(f"no step within {self._options.step_seconds:g} s", in_flight) from error
        except (RuntimeError, MemoryError, VLLMServerError) as error:
            memory = isinstance(error, (MemoryError, torch.OutOfMemoryError))
            raise EngineFault(f"{type(error).__name__}: {error}", in_flight, memory=memory) from error

    def parameters(self, request: Request) -> Any:
        """vLLM's own sampling parameters for a request."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

        constraint = request.constraint
        return SamplingParams(
            temperature=request.temperature,
            top_p=request.top_p,
            max_tokens=request.max_tokens,
            seed=request.seed,
            logprobs=0 if request.logprobs else None,  # 0: of the chosen token alone
            output_kind=RequestOutputKind.FINAL_ONLY,
            structured_outputs=None if constraint is None else StructuredOutputsParams(regex=regex(constraint)),
        )

    def _generation(self, prompted: Prompted, output: Any, seconds: float) -> Generation:
        if output.finish_reason not in ("stop", "length"):
            return failed(prompted, f"vLLM ended the request with finish reason {output.finish_reason!r}")
        ids = list(output.token_ids)
        logprobs = [step[token].logprob for token, step in zip(ids, output.logprobs or ())]
        return finished(
            self._tokenizer,
            prompted,
            ids,
            output.finish_reason,
            seconds=seconds,
            decoder=self._options.decoder,
            logprobs=logprobs,
        )

    def facts(self) -> dict[str, Any]:
        import torch

        return {
            "engine": "vllm",
            "version": vllm_version("backend=vllm"),
            "weights": asdict(self._weights) | {"gguf": str(self._weights.gguf or "")},
            "dtype": str(self._engine.model_config.dtype).removeprefix("torch."),
            "template_sha256": template_hash(self._tokenizer),
            "decoder": decoder_version(self._options.decoder),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            "threads": torch.get_num_threads(),
            "max_num_seqs": self._options.max_num_seqs,
            "enforce_eager": self._options.enforce_eager,
            "tensor_parallel_size": self._options.tensor_parallel_size,
            "data_parallel_size": self._options.data_parallel_size,
            "own_process": self._options.apart,
            "batch_invariant": self._options.batch_invariant,
        }

    def close(self) -> None:
        import gc

        engine, self._engine, self.llm = self._engine, None, None
        if engine is not None:
            engine.shutdown() if self._options.apart else end(engine)
        del engine
        gc.collect()
