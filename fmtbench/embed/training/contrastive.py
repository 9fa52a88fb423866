"""Contrastive training: move a text closer to its positive than to the rest of the batch (InfoNCE, arXiv 1807.03748)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.embed.training.stage import TrainingStage
from fmtbench.embed.training.work import Supply, Work
from fmtbench.errors import UserError

KNOWN = ("query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc")


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Contrastive(TrainingStage):
    """In-batch negatives and each example's own hard negatives. No batch holds a text twice."""

    temperature: float = Field(default=0.02, gt=0)
    directions: tuple[str, ...] = ("query_to_doc",)
    """Add negatives by `query_to_query`, `doc_to_query`, `doc_to_doc` (all four: GTE, arXiv 2308.03281)."""
    false_negative_margin: float | None = Field(default=None, ge=0)
    """Drop negatives closer than the positive by more than this (Qwen3-Embedding, arXiv 2506.05176: 0.1); null keeps all."""
    mini_batch: int | None = Field(default=None, gt=0)
    """Rows in memory at a time, for batches larger than memory (gradient caching); null takes the whole batch."""
    matryoshka: tuple[int, ...] = ()
    """Also train vectors cut to these numbers of dimensions (arXiv 2205.13147)."""

    def check(self, supply: Supply, name: str) -> Supply:
        allowed = f"allowed are {', '.join(KNOWN)}; query_to_doc must be among them"
        if unknown := [direction for direction in self.directions if direction not in KNOWN]:
            raise UserError(f"{name}: directions has {unknown[0]}: {allowed}")
        if "query_to_doc" not in self.directions:
            raise UserError(f"{name}: directions lacks query_to_doc: {allowed}")
        self.require_sets(supply, name)
        return replace(supply, adapter=self.lora is not None)

    def chance(self, negatives: float) -> float:
        """The loss of chance: the logarithm of the number of texts in the softmax, summed over the sizes of the vectors."""
        documents, size = 1 + negatives, self.batch_size
        texts = {
            "query_to_doc": size * documents,
            "query_to_query": size - 1,
            "doc_to_query": size,
            "doc_to_doc": (size - 1) * documents,
        }
        return math.log(sum(texts[direction] for direction in self.directions)) * (1 + len(set(self.matryoshka)))

    def run(self, work: Work) -> dict[str, Any]:
        from fmtbench.embed.training.fitting import fit_encoder
        from fmtbench.embed.training.objectives import ranking_loss

        self.require(len(work.data.examples), "examples", work.folder.name)

        def loss(model: Any) -> Any:
            ranking = ranking_loss(model, self.temperature, self.directions, self.false_negative_margin, self.mini_batch)
            return self._nested(model, ranking)

        return fit_encoder(work, self, work.data.examples, loss)

    def _nested(self, model: Any, loss: Any) -> Any:
        from sentence_transformers.sentence_transformer.losses import MatryoshkaLoss

        if not self.matryoshka:
            return loss
        size = model.get_embedding_dimension()
        if max(self.matryoshka) > size:
            raise UserError(f"matryoshka={list(self.matryoshka)}: the vectors have {size} dimensions")
        return MatryoshkaLoss(model, loss, matryoshka_dims=sorted({*self.matryoshka, size}, reverse=True))
