"""What a model predicts at each position of existing replies: one teacher-forced pass over prompt and reply.

    reference = Reference(backbone)
    for chunk in reference.passes(replies):
        chunk.logits_PV, chunk.said_P        # at some positions of one reply, in order

Replies are padded on the right, which a causal model never attends to, in batches of at most `batch_tokens` tokens. The head runs
only on the positions of the reply, `CHUNK` of them at a time: the logits of a long reply over a large vocabulary would take
gigabytes. Shapes: N replies in a batch, L tokens of prompt and reply, P positions of a chunk, H width of the model, V its
vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from transformers.modeling_outputs import BaseModelOutputWithPast

from fmtbench.backbone import Backbone, load_tokenizer, prepare
from fmtbench.backends.tokens import prompt
from fmtbench.errors import UserError
from fmtbench.store.folder import RunFolder
from fmtbench.types import Generation, Request

Reply = tuple[Request, Generation]
ExactDtype = Literal["float32", "bfloat16", "float16"]
CHUNK = 256
"""How many positions' logits are in memory at once: 156 MB in float32 with a vocabulary of 152,064."""


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Some positions of one reply."""

    reply: int
    """The index of the reply in the given sequence."""
    start: int
    """The first of the positions, from the start of the reply."""
    logits_PV: torch.Tensor
    """In float32, before temperature and before any mask."""
    said_P: torch.Tensor
    """The reply's token at each position."""


class Reference:
    """A backbone in transformers, in float32 unless told otherwise. Its weights are loaded when first needed."""

    def __init__(
        self, backbone: Backbone, *, dtype: ExactDtype = "float32", device: str = "cpu", batch_tokens: int = 4096
    ) -> None:
        self._weights = backbone.resolve()
        self.name, self.fingerprint, self.context = backbone.name, self._weights.fingerprint, backbone.context
        self.dtype, self.device, self.batch_tokens = dtype, device, batch_tokens
        self.tokenizer = load_tokenizer(self._weights)

    @cached_property
    def model(self) -> Any:
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging

        logging.disable_progress_bar()
        model = AutoModelForCausalLM.from_pretrained(
            prepare(self._weights), revision=self._weights.revision, dtype=self.dtype, use_safetensors=True
        )
        return model.to(self.device).eval()

    @cached_property
    def vocabulary(self) -> int:
        """The number of logits, which is at least the number of the tokenizer's tokens."""
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(prepare(self._weights), revision=self._weights.revision)
        return int(config.get_text_config().vocab_size)

    @cached_property
    def ends(self) -> list[int]:
        """The tokens that end a reply."""
        shipped = self.model.generation_config.eos_token_id
        return sorted({self.tokenizer.eos_token_id, *(shipped if isinstance(shipped, list) else [shipped])} - {None})

    def prompt(self, request: Request) -> list[int]:
        return list(prompt(self.tokenizer, request).ids)

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def passes(self, replies: Sequence[Reply]) -> Iterator[Chunk]:
        """Every reply in chunks: longest replies first, and all chunks of a reply before the next."""
        lines = [self.prompt(request) + list(generation.token_ids) for request, generation in replies]
        for batch in batches([len(line) for line in lines], self.batch_tokens):
            hidden_NLH = self.hidden([lines[place] for place in batch])
            for hidden_LH, place in zip(hidden_NLH, batch):
                said = torch.tensor(replies[place][1].token_ids, device=hidden_LH.device)
                before = len(lines[place]) - len(said) - 1  # this position predicts the first token of the reply
                for start in range(0, len(said), CHUNK):
                    said_P = said[start : start + CHUNK]
                    hidden_PH = hidden_LH[before + start : before + start + len(said_P)]
                    yield Chunk(reply=place, start=start, logits_PV=self.logits(hidden_PH), said_P=said_P)

    def hidden(self, lines: Sequence[Sequence[int]]) -> torch.Tensor:
        """The last hidden states of some texts, N x L x H, padded on the right."""
        ids_NL = torch.zeros((len(lines), max(map(len, lines))), dtype=torch.long)
        mask_NL = torch.zeros_like(ids_NL)
        for row, line in enumerate(lines):
            ids_NL[row, : len(line)], mask_NL[row, : len(line)] = torch.tensor(line), 1
        device = self.model.device
        body = self.model.base_model
        return body(input_ids=ids_NL.to(device), attention_mask=mask_NL.to(device), use_cache=False).last_hidden_state

    def logits(self, hidden_PH: torch.Tensor) -> torch.Tensor:
        """The logits of hidden states, P x V in float32, from the model's own class: some models scale or cap them."""
        name = self.model.base_model_prefix
        body = getattr(self.model, name)
        setattr(self.model, name, _Said(hidden_PH[None]))
        try:
            return self.model(use_cache=False).logits[0].float()
        finally:
            setattr(self.model, name, body)


class _Said(torch.nn.Module):
    """Stands in for a model's body and returns its stored output, so that the head runs alone."""

    def __init__(self, hidden_NPH: torch.Tensor) -> None:
        super().__init__()
        self._hidden_NPH = hidden_NPH

    def forward(self, *_: Any, **__: Any) -> BaseModelOutputWithPast:
        return BaseModelOutputWithPast(last_hidden_state=self._hidden_NPH)


def batches(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Indices of texts in batches, longest first. A padded batch has at most `tokens` tokens, or is a single longer text."""
    left = sorted(range(len(lengths)), key=lambda place: (-lengths[place], place))
    while left:
        fitting = max(1, tokens // max(1, lengths[left[0]]))
        yield left[:fitting]
        left = left[fitting:]


def check_weights(folder: RunFolder, backbone: Backbone) -> None:
    """Raises `UserError` if a cell's replies were made with other weights, or its manifest does not name them."""
    made_with = folder.manifest().get("engine", {}).get("weights", {}).get("fingerprint")
    if made_with is None:
        raise UserError(
            f"{folder.path}: its manifest names no weights, because a server kept them or no engine was open yet: "
            "give results of backend=hf or backend=vllm, and run their command again if it was interrupted"
        )
    if made_with != backbone.resolve().fingerprint:
        raise UserError(f"{folder.path} was made with other weights than those of backbone={backbone.name}: set backbone=")
