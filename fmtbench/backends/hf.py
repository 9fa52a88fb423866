"""transformers, with constraints masked by Outlines, xgrammar or guidance: runs wherever torch does.

Requests are sorted by length and padded on the left; a batch may mix constraints, temperatures and limits. Each row is
yielded as it finishes. Each request has its own seed, so that a sampled text does not depend on which other requests
share its batch (up to rounding).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.backbone import Backbone, load_tokenizer, prepare, template_hash
from fmtbench.backends.admission import MaskingBackend, sandbox
from fmtbench.backends.base import Session
from fmtbench.backends.device import device_name
from fmtbench.backends.proof import proven
from fmtbench.backends.tokens import Prompted, failed, finished, prompt_all
from fmtbench.decoding.after_thought import AfterThought, ThoughtWatch
from fmtbench.decoding.decoders import DECODERS, Matcher, masks_version
from fmtbench.decoding.grammar import decoder_version
from fmtbench.errors import EngineFault
from fmtbench.types import Constraint, Generation, Request

if TYPE_CHECKING:
    from fmtbench.backends.decode import Finished
    from fmtbench.backends.mask_bank import MaskBank


@dataclass(kw_only=True, config=ConfigDict(extra="forbid"))
class HF(MaskingBackend):
    """Options of the transformers engine."""

    sampler: ClassVar[str] = "2: splitmix64 of seed, step and token"
    """The version of `backends/draws.py`, to be raised with it."""

    device: str = "auto"
    """`auto` takes a GPU if there is one."""
    batch_size: int = Field(default=64, gt=0)
    """The most requests in one batch."""
    batch_tokens: int = Field(default=32768, gt=0)
    """The most tokens in one batch, rows times (longest prompt + longest reply), which bounds the memory of the cache."""

    def identity(self, backbone: Backbone, constraint: Constraint | None) -> str:
        identity = {
            "engine": "hf",
            "transformers": version("transformers"),
            "weights": backbone.resolve().fingerprint,
            "dtype": backbone.dtype,
        }
        if constraint is not None:
            identity |= {"decoder": decoder_version(self.decoder), "masks": masks_version(self.decoder, constraint)}
        return json.dumps(identity)

    def capacity(self, backbone: Backbone) -> str:
        return json.dumps(
            {
                "context": backbone.context,
                "device": device_name(self.device),
                "batch_size": self.batch_size,
                "batch_tokens": self.batch_tokens,
            }
        )

    def why_unthinkable(self, *, budget: bool, masked: bool) -> str:
        return ""

    def open(self, backbone: Backbone) -> HFSession:
        return proven(HFSession(self, backbone))


class HFSession(Session):
    """A model of transformers, its tokenizer, and the grammars that were compiled for it."""

    def __init__(self, options: HF, backbone: Backbone) -> None:
        import torch
        from transformers.utils import logging

        logging.disable_progress_bar()
        self.options = options
        self._weights = backbone.resolve()
        self.context = backbone.context
        self.tokenizer = load_tokenizer(self._weights)
        device = ("cuda" if torch.cuda.is_available() else "cpu") if options.device == "auto" else options.device
        self.model: Any = self._loaded(backbone, device).eval()
        self.ends = self._end_tokens()
        self._decoder = DECODERS[options.decoder](self.tokenizer)
        self._sandbox = sandbox(backbone, options.decoder, options.limits)
        self._grammar = lru_cache(maxsize=256)(self._load)
        self._bank: MaskBank | None = None

    def _loaded(self, backbone: Backbone, device: str) -> Any:
        """The model with its weights, on the device."""
        from transformers import AutoModelForCausalLM

        model: Any = AutoModelForCausalLM.from_pretrained(
            prepare(self._weights), revision=self._weights.revision, dtype=backbone.dtype, use_safetensors=True
        )
        return model.to(device)

    def _end_tokens(self) -> frozenset[int]:
        """Every token that ends a reply: the tokenizer's own, and those that the model was shipped with."""
        shipped = self.model.generation_config.eos_token_id
        return frozenset({self.tokenizer.eos_token_id, *(shipped if isinstance(shipped, list) else [shipped])} - {None})

    def _load(self, constraint: Constraint) -> Any:
        """A constraint's grammar over this tokenizer's vocabulary, as the sandbox compiled it."""
        return self._decoder.load(self._sandbox.payload(constraint))

    def generate(self, requests: Sequence[Request], at_most: int | None = None) -> Iterator[Generation]:
        prompted, too_long = prompt_all(self.tokenizer, requests, self.context)
        yield from too_long
        rows = min(self.options.batch_size, at_most or self.options.batch_size)
        for batch in batches(prompted, rows, self.options.batch_tokens):
            yield from self._run(batch)

    def _run(self, batch: list[Prompted]) -> Iterator[Generation]:
        """Decode one batch. Raises `EngineFault` with the rows that were still running."""
        import torch

        running = dict(enumerate(batch))
        try:
            for done in self._decode(batch):
                one = running.pop(done.row)
                if done.reason == "error":
                    yield failed(one, "the model's logits are not numbers")
                else:
                    yield finished(
                        self.tokenizer,
                        one,
                        done.ids,
                        done.reason,
                        seconds=done.seconds,
                        decoder=self.options.decoder,
                        logprobs=done.logprobs if one.request.logprobs else (),
                    )
        except (RuntimeError, MemoryError) as error:
            # On a CPU torch has no error type for exhausted memory.
            memory = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in str(error)
            keys = [one.request.key for one in running.values()]
            raise EngineFault(f"{type(error).__name__}: {error}", keys, memory=memory) from error

    def _decode(self, batch: list[Prompted]) -> Iterator[Finished]:
        from fmtbench.backends.choose import Chooser
        from fmtbench.backends.decode import decode
        from fmtbench.backends.mask_bank import MaskBank

        requests = [one.request for one in batch]
        padded = self.tokenizer.pad({"input_ids": [one.ids for one in batch]}, return_tensors="pt").to(self.model.device)
        if self._bank is None:
            self._bank = MaskBank(self.model.get_output_embeddings().out_features, self.model.device, self.options.batch_size)
        chooser = Chooser(requests, [self._matcher(request) for request in requests], self._bank)
        limits = [request.max_tokens for request in requests]
        asked = any(request.logprobs for request in requests)
        return decode(self.model, padded["input_ids"], padded["attention_mask"], limits, self.ends, chooser, with_logprobs=asked)

    def _matcher(self, request: Request) -> Matcher | None:
        """What masks a reply; None if everything is allowed."""
        reply = self._decoder.matcher(self._grammar(request.constraint)) if request.constraint else None
        if request.thinking is None:
            return reply
        return AfterThought(ThoughtWatch(self.tokenizer, request.thinking), reply)

    def facts(self) -> dict[str, Any]:
        import torch

        on_gpu = self.model.device.type == "cuda"
        return {
            "engine": "hf",
            "weights": asdict(self._weights) | {"gguf": str(self._weights.gguf or "")},
            "device": str(self.model.device),
            "gpu": torch.cuda.get_device_name() if on_gpu else None,
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "template_sha256": template_hash(self.tokenizer),
            "decoder": decoder_version(self.options.decoder),
            "threads": torch.get_num_threads(),
            "batch_size": self.options.batch_size,
            "batch_tokens": self.options.batch_tokens,
        }

    def close(self) -> None:
        import gc

        import torch

        self._sandbox.close()
        self.model = self._bank = None
        self._grammar.cache_clear()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def batches(prompted: Sequence[Prompted], rows: int, tokens: int) -> Iterator[list[Prompted]]:
    """Batches of at most so many rows, and so many tokens in prompts and replies together, if one row alone has no more.

    Longest prompts first, so that a batch that is too large fails at once; ties by key, so that the order is stable.
    """
    ordered = sorted(prompted, key=lambda one: (-len(one.ids), one.request.key))
    while ordered:
        longest = len(ordered[0].ids) + max(one.request.max_tokens for one in ordered[:rows])
        fitting = max(1, min(tokens // longest, rows))
        yield ordered[:fitting]
        ordered = ordered[fitting:]
