"""transformers, with constraints masked by Outlines: works anywhere torch does.

Requests are sorted by length and padded on the left; one batch may mix constraints, temperatures and limits. A row is
yielded as it finishes. Each request has its own seed, so a sampled text does not depend on which other requests share
its batch (up to rounding).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from dataclasses import dataclass as plain_dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.backbone import Backbone, load_tokenizer, prepare, template_hash
from fmtbench.backends.base import Backend
from fmtbench.decoding.grammar import allows, decoder_version, regex
from fmtbench.errors import DecoderError
from fmtbench.types import Constraint, Generation, Message, Request

if TYPE_CHECKING:
    from fmtbench.backends.decode import Finished

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
        from outlines.backends.outlines_core import OutlinesCoreBackend
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging

        logging.disable_progress_bar()
        weights = backbone.resolve()
        self._weights = weights
        self._context = backbone.context
        self._tokenizer = load_tokenizer(weights)
        device = ("cuda" if torch.cuda.is_available() else "cpu") if self.device == "auto" else self.device
        model = AutoModelForCausalLM.from_pretrained(
            prepare(weights), revision=weights.revision, dtype=backbone.dtype, use_safetensors=True
        )
        self._model = model.to(device).eval()
        self._ends = self._end_tokens()
        self._vocabulary = OutlinesCoreBackend(outlines.from_transformers(self._model, self._tokenizer)).vocabulary
        self._index = lru_cache(maxsize=256)(self._compile)
        self._prove_binding()

    def _end_tokens(self) -> frozenset[int]:
        """Every token that ends a reply: the tokenizer's, and those the model was shipped with."""
        shipped = self._model.generation_config.eos_token_id
        return frozenset({self._tokenizer.eos_token_id, *(shipped if isinstance(shipped, list) else [shipped])} - {None})

    def _compile(self, constraint: Constraint) -> Any:
        """Outlines' automaton of a constraint over this tokenizer's vocabulary; compiled once."""
        from outlines_core import Index

        return Index(regex(constraint), self._vocabulary)

    def _prove_binding(self) -> None:
        """There are silent failures: free text from a decoder that did not mask."""
        proof = next(iter(self.generate([PROBE])))
        if proof.finish_reason != "stop" or not allows(PROBE.constraint, proof.text):  # type: ignore[arg-type]
            raise DecoderError(
                f"{self.decoder} did not bind on {self._model.config.model_type}: a two-word grammar gave {proof.text!r}"
            )

    def generate(self, requests: Sequence[Request]) -> Iterator[Generation]:
        prompted = [Prompted(request=request, ids=self._prompt_ids(request)) for request in requests]
        for one in prompted:
            if too_long := self._too_long(one):
                yield too_long
        for batch in self._batches([one for one in prompted if not self._too_long(one)]):
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

    def _batches(self, prompted: list[Prompted]) -> Iterator[list[Prompted]]:
        """Longest prompts first, so that too large a batch shows at once; ties by key, so that the order is stable."""
        ordered = sorted(prompted, key=lambda one: (-len(one.ids), one.request.key))
        while ordered:
            longest = len(ordered[0].ids) + max(one.request.max_tokens for one in ordered[: self.batch_size])
            rows = max(1, min(self.batch_tokens // longest, self.batch_size))
            yield ordered[:rows]
            ordered = ordered[rows:]

    def _run(self, batch: list[Prompted]) -> Iterator[Generation]:
        from fmtbench.backends.choose import Chooser
        from fmtbench.backends.decode import decode

        requests = [one.request for one in batch]
        padded = self._tokenizer.pad({"input_ids": [one.ids for one in batch]}, return_tensors="pt").to(self._model.device)
        chooser = Chooser(requests, [self._index(request.constraint) if request.constraint else None for request in requests])
        limits = [request.max_tokens for request in requests]
        for finished in decode(self._model, padded["input_ids"], padded["attention_mask"], limits, self._ends, chooser):
            yield self._generation(batch[finished.row], finished)

    def _generation(self, prompted: Prompted, finished: Finished) -> Generation:
        text, token_ends = self._decode(finished.ids)
        constraint = prompted.request.constraint
        broken = constraint is not None and finished.reason == "stop" and not allows(constraint, text)
        return Generation(
            key=prompted.request.key,
            text=text,
            token_ids=tuple(finished.ids),
            token_ends=token_ends,
            finish_reason="error" if broken else finished.reason,
            prompt_tokens=len(prompted.ids),
            seconds=finished.seconds,
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
            "weights": asdict(self._weights) | {"gguf": str(self._weights.gguf or "")},
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

        del self._model, self._vocabulary, self._index
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
