"""Contrastive training: a text is nearer to what belongs to it than to the rest of the batch (InfoNCE, arXiv 1807.03748)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.embed.training.stage import Fit, Supply, Work
from fmtbench.errors import UserError


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Contrastive(Fit):
    """In-batch negatives, and each example's own hard ones. No text is twice in a batch."""

    temperature: float = Field(default=0.02, gt=0)
    directions: tuple[str, ...] = ("query_to_doc",)
    """What else is a negative: `query_to_query`, `doc_to_query`, `doc_to_doc` (all four: GTE, arXiv 2308.03281)."""
    false_negative_margin: float | None = Field(default=None, ge=0)
    """Drop negatives nearer than the positive by more than this (Qwen3-Embedding, arXiv 2506.05176: 0.1); null keeps all."""
    mini_batch: int | None = Field(default=None, gt=0)
    """Rows in memory at a time, for batches that are larger than it (gradient caching); null: the whole batch."""
    matryoshka: tuple[int, ...] = ()
    """Also train the first so many dimensions of each vector alone (arXiv 2205.13147)."""

    def check(self, supply: Supply, name: str) -> Supply:
        known = ("query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc")
        if unknown := [way for way in self.directions if way not in known] or ["none"] * ("query_to_doc" not in self.directions):
            raise UserError(f"{name}: directions has {unknown[0]}: allowed are {', '.join(known)}, with query_to_doc among them")
        self.enough(supply.examples, "examples", name)
        return replace(supply, adapter=self.lora is not None)

    def run(self, work: Work) -> dict[str, Any]:
        from fmtbench.embed.training.fitting import fit_encoder
        from fmtbench.embed.training.objectives import ranking_loss

        self.enough(len(work.data.examples), "examples", work.folder.name)

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
