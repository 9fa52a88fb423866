"""`st`: a sentence-transformers model, batched by tokens so that short texts do not wait for long ones.

`pooling.pool` pools its hidden states in float32; sentence-transformers itself pools in the model's dtype.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.embed.attention import attending
from fmtbench.embed.batching import token_batches
from fmtbench.embed.description import LoadedEncoder, describe
from fmtbench.embed.embedder import EmbedBackend, Embedder, Loadable, Vectors
from fmtbench.embed.pooling import pooled, taking_part
from fmtbench.embed.tokens import Tokens


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class STEmbedBackend(EmbedBackend):
    """sentence-transformers in this process."""

    score_key: ClassVar[str] = "STEngine"
    batch_size: int = Field(default=64, gt=0)
    """The most texts in a batch."""
    batch_tokens: int = Field(default=8192, gt=0)
    """The most tokens in a batch, padding included."""

    def open(self, encoder: Loadable) -> STEmbedder:
        return STEmbedder(encoder.load(), self)


class STEmbedder(Embedder):
    """An encoder in this process. To share weights with a model that generates, assign them to `loaded.model[0].model`."""

    def __init__(self, loaded: LoadedEncoder, backend: STEmbedBackend) -> None:
        loaded.model.eval()
        self.loaded = loaded
        self.backend = backend
        self.spec = loaded.spec
        self.tokenizer = loaded.model.tokenizer
        self.projections = [module for module in loaded.model if type(module).__name__ == "Dense"]

    def vectors(self, tokens: Sequence[Tokens]) -> Vectors:
        batches = list(self.batches(tokens))
        found: list[Any] = [self._batch([tokens[i] for i in batch]) for batch in batches]
        if not found:
            return np.zeros((0, self.loaded.model.get_embedding_dimension()), np.float32)
        vectors = np.empty((len(tokens), found[0].shape[1]), np.float32)
        vectors[np.concatenate(batches)] = np.concatenate(found)
        return vectors

    def batches(self, tokens: Sequence[Tokens]) -> Iterator[list[int]]:
        """Indices of the texts in batches, longest first, so that a batch too large for the memory fails at once."""
        yield from token_batches([len(one.ids) for one in tokens], self.backend.batch_tokens, self.backend.batch_size)

    def _batch(self, batch: list[Tokens]) -> Vectors:
        _, mask_BL, hidden_BLD = self.states(batch)
        return self.dense(hidden_BLD, mask_BL)

    def states(self, batch: list[Tokens]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Ids, a mask of the positions that are pooled, and the last hidden states."""
        model = self.loaded.model.transformers_model
        padded = self.tokenizer.pad({"input_ids": [one.ids for one in batch]}, padding_side="right", return_tensors="pt")
        padded = padded.to(model.device)
        ids_BL, mask_BL = padded["input_ids"], padded["attention_mask"]
        if self.spec.attention == "causal":
            del padded["attention_mask"]  # no token attends to the padding on its right, and attention is faster without a mask
        part_BL = taking_part(mask_BL, torch.tensor([one.start for one in batch], device=mask_BL.device), self.spec)
        with attending(model, self.spec.attention), torch.inference_mode():
            return ids_BL, part_BL, model(**padded).last_hidden_state

    def dense(self, hidden_BLD: torch.Tensor, mask_BL: torch.Tensor) -> Vectors:
        """Unit vectors, pooled and projected."""
        with torch.inference_mode():
            pooled_BD = self._projected(pooled(hidden_BLD, mask_BL, self.spec.pooling))
            return torch.nn.functional.normalize(pooled_BD, dim=1).cpu().numpy()

    def _projected(self, pooled_BD: torch.Tensor) -> torch.Tensor:
        """The vectors after the folder's Dense modules, which compute in their own dtype."""
        for dense in self.projections:
            weight = dense.linear.weight
            found = dense({dense.module_input_name: pooled_BD.to(weight.device, weight.dtype)})
            pooled_BD = found[dense.module_output_name].float()
        return pooled_BD

    def facts(self) -> dict[str, Any]:
        model = self.loaded.model
        dtype = str(model.transformers_model.dtype).removeprefix("torch.")
        return {"engine": "st", "device": str(model.device), "dtype": dtype, "encoder": describe(self.loaded)}

    def close(self) -> None:
        del self.loaded
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
