"""transformers, with constraints masked by Outlines: works anywhere torch does.

Requests with the same constraint and sampling run together, sorted by length and padded on the left. Each request has
its own seed, so a sampled text does not depend on which other requests share its batch (up to rounding).
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass as plain_dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import Any, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.backbone import Backbone, load_tokenizer, prepare, template_hash
from fmtbench.backends.base import Backend
from fmtbench.decoding.grammar import allows, decoder_version, regex
from fmtbench.errors import DecoderError
from fmtbench.types import Constraint, Generation, Message, Request

PROBE = Request(
    messages=(Message(role="user", content="Say hello."),),
    constraint=Constraint(
        kind="json_schema", source='{"type": "object", "properties": {"a": {"enum": ["qx", "zj"]}}, "required": ["a"]}'
    ),
    max_tokens=16,
)


@plain_dataclass(frozen=True, kw_only=True)
class Prompted:
    """A request with its prompt as token ids."""

    request: Request
    ids: list[int]


@dataclass(kw_only=True, config=ConfigDict(extra="forbid"))
class HF(Backend):
    """Options of the transformers engine."""

    decoder: Literal["outlines"] = "outlines"
    device: str = "auto"
    """`auto` takes a GPU where there is one."""
    batch_size: int = Field(default=64, gt=0)
    """Most requests in one batch."""
    batch_tokens: int = Field(default=32768, gt=0)
    """Most tokens in one batch: rows times (longest prompt + longest reply). Bounds the memory of the cache."""

    def engine(self, backbone: Backbone, constraint: Constraint | None) -> str:
        identity = {
            "engine": "hf",
            "transformers": version("transformers"),
            "weights": backbone.resolve().fingerprint,
            "dtype": backbone.dtype,
        }
        if constraint is not None:
            identity["decoder"] = decoder_version(self.decoder)
        return json.dumps(identity)

    def open(self, backbone: Backbone) -> None:
        import outlines
        import torch
        from transformers import AutoModelForCausalLM

        weights = backbone.resolve()
        self._context = backbone.context
        self._tokenizer = load_tokenizer(weights)
        device = ("cuda" if torch.cuda.is_available() else "cpu") if self.device == "auto" else self.device
        model = AutoModelForCausalLM.from_pretrained(
            prepare(weights), revision=weights.revision, dtype=backbone.dtype, use_safetensors=True
        )
        self._model = model.to(device).eval()
        self._clear_generation_defaults()
        self._steerable = outlines.from_transformers(self._model, self._tokenizer)
        self._mask = lru_cache(maxsize=256)(self._compile)
        self._prove_binding()

    def _clear_generation_defaults(self) -> None:
        """Models ship sampling defaults of their own (a repetition penalty, top-k): only the request decides here."""
        from transformers import GenerationConfig

        shipped = self._model.generation_config.eos_token_id
        ends = {self._tokenizer.eos_token_id, *(shipped if isinstance(shipped, list) else [shipped])} - {None}
        self._ends = frozenset(ends)
        self._model.generation_config = GenerationConfig(eos_token_id=sorted(ends), pad_token_id=self._tokenizer.pad_token_id)

    def _compile(self, constraint: Constraint) -> Any:
        """Outlines' logits processor for a constraint; compiled once, then reset for each batch."""
        from outlines.backends import get_regex_logits_processor

        return get_regex_logits_processor("outlines_core", self._steerable, regex(constraint))

    def _prove_binding(self) -> None:
        """There are silent failures: free text from a decoder that did not mask."""
        proof = next(iter(self.generate([PROBE])))
        if proof.finish_reason != "stop" or not allows(PROBE.constraint, proof.text):  # type: ignore[arg-type]
            raise DecoderError(
                f"{self.decoder} did not bind on {self._model.config.model_type}: a two-word grammar gave {proof.text!r}"
            )

    def generate(self, requests: Sequence[Request]) -> Iterator[Generation]:
        groups: dict[Any, list[Prompted]] = defaultdict(list)
        for request in requests:
            prompted = Prompted(request=request, ids=self._prompt_ids(request))
            if too_long := self._too_long(prompted):
                yield too_long
            else:
                groups[request.constraint, request.temperature, request.top_p, request.max_tokens].append(prompted)
        for group in groups.values():
            for batch in self._batches(group):
                yield from self._run(batch)

    def _prompt_ids(self, request: Request) -> list[int]:
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        return self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]

    def _too_long(self, prompted: Prompted) -> Generation | None:
        needed = len(prompted.ids) + prompted.request.max_tokens
        if needed <= self._context:
            return None
        error = (
            f"{len(prompted.ids)} prompt tokens and {prompted.request.max_tokens} new ones exceed the context of {self._context}"
        )
        return Generation(key=prompted.request.key, text="", finish_reason="error", prompt_tokens=len(prompted.ids), error=error)

    def _batches(self, group: list[Prompted]) -> Iterator[list[Prompted]]:
        """Longest prompts first, so that too large a batch shows at once; ties by key, so that the order is stable."""
        ordered = sorted(group, key=lambda prompted: (-len(prompted.ids), prompted.request.key))
        while ordered:
            rows = self.batch_tokens // (len(ordered[0].ids) + ordered[0].request.max_tokens)
            rows = max(1, min(rows, self.batch_size))
            yield ordered[:rows]
            ordered = ordered[rows:]

    def _run(self, batch: list[Prompted]) -> Iterator[Generation]:
        import torch

        started = time.perf_counter()
        padded = self._tokenizer.pad({"input_ids": [prompted.ids for prompted in batch]}, return_tensors="pt").to(
            self._model.device
        )
        with torch.inference_mode():
            output_BL = self._model.generate(
                **padded, logits_processor=self._processors(batch), do_sample=False, max_new_tokens=batch[0].request.max_tokens
            )
        replies = output_BL[:, padded["input_ids"].shape[1] :].tolist()
        seconds = (time.perf_counter() - started) / len(batch)
        for prompted, ids in zip(batch, replies):
            yield self._generation(prompted, ids, seconds)

    def _processors(self, batch: list[Prompted]) -> Any:
        """The mask first, then seeded sampling on what the mask left."""
        from transformers import LogitsProcessorList

        from fmtbench.backends.seeded import SeededSampling

        request = batch[0].request
        processors = LogitsProcessorList()
        if request.constraint is not None:
            mask = self._mask(request.constraint)
            mask.reset()
            processors.append(mask)
        if request.temperature > 0:
            seeds = [prompted.request.seed or 0 for prompted in batch]
            processors.append(SeededSampling(seeds=seeds, temperature=request.temperature, top_p=request.top_p))
        return processors

    def _generation(self, prompted: Prompted, ids: list[int], seconds: float) -> Generation:
        end = next((i for i, token in enumerate(ids) if token in self._ends), None)
        ids = ids if end is None else ids[: end + 1]
        text, token_ends = self._decode(ids)
        constraint = prompted.request.constraint
        broken = constraint is not None and end is not None and not allows(constraint, text)
        return Generation(
            key=prompted.request.key,
            text=text,
            token_ids=tuple(ids),
            token_ends=token_ends,
            finish_reason="error" if broken else "length" if end is None else "stop",
            prompt_tokens=len(prompted.ids),
            seconds=seconds,
            decoder="none" if constraint is None else decoder_version(self.decoder),
            error="the finished text does not keep to its grammar" if broken else "",
        )

    def _decode(self, ids: list[int]) -> tuple[str, tuple[int, ...]]:
        """The text, and where in it each token ends; a token inside a character ends where the character begins."""
        from tokenizers.decoders import DecodeStream

        stream = DecodeStream(skip_special_tokens=True)
        pieces: list[str] = []
        ends: list[int] = []
        for token in ids:
            pieces.append(stream.step(self._tokenizer.backend_tokenizer, token) or "")
            ends.append(len(pieces[-1]) + (ends[-1] if ends else 0))
        return "".join(pieces), tuple(ends)

    def facts(self) -> dict[str, Any]:
        import torch

        return {
            "engine": "hf",
            "device": str(self._model.device),
            "dtype": str(self._model.dtype).removeprefix("torch."),
            "template_sha256": template_hash(self._tokenizer),
            "decoder": decoder_version(self.decoder),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name() if self._model.device.type == "cuda" else None,
            "batch_size": self.batch_size,
            "batch_tokens": self.batch_tokens,
        }

    def close(self) -> None:
        import gc

        import torch

        del self._model, self._steerable, self._mask
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
