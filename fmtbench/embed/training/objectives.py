"""Losses over vectors. sentence-transformers has all but one: ours drops negatives that are too near to be negatives.

Shapes: B examples, D dimensions. `anchors_BD` are the anchors; `others` are tensors of the same shape: the positives, then each
column of hard negatives. The temperature is that of the papers; sentence-transformers' `scale` is 1 / temperature.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, get_args

import torch
from sentence_transformers.base.losses.merged_forward import embed_columns
from sentence_transformers.sentence_transformer import losses
from torch import Tensor, nn
from torch.nn.functional import normalize

Direction = Literal["query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)


def info_nce(
    anchors_BD: Tensor, others: Sequence[Tensor], temperature: float, directions: Sequence[str], margin: float | None
) -> Tensor:
    """InfoNCE with one softmax over all directions (GTE, arXiv 2308.03281), without likely positives (Qwen3, arXiv 2506.05176).

    A negative is dropped if its cosine exceeds the positive's by more than `margin`. None drops nothing; the loss is then
    sentence-transformers' MultipleNegativesRankingLoss.
    """
    anchors, columns = normalize(anchors_BD, dim=1), [normalize(other, dim=1) for other in others]
    positives, documents, own = columns[0], torch.cat(columns), torch.eye(len(anchors), device=anchors_BD.device).bool()
    positive_B = (anchors * positives).sum(1)
    no = torch.zeros_like(own)
    first = torch.cat([own, *[no] * (len(columns) - 1)], 1)
    cosines = {  # each: cosines, a mask of the positives, and a mask of what is no negative (a text or an example with itself)
        "query_to_doc": (anchors @ documents.T, first, torch.zeros_like(first)),
        "query_to_query": (anchors @ anchors.T, no, own),
        "doc_to_query": (positives @ anchors.T, own, no),
        "doc_to_doc": (positives @ documents.T, torch.zeros_like(first), own.repeat(1, len(columns))),
    }
    kept = []
    for direction in directions:
        cosine, positive, out = cosines[direction]
        if margin is not None:
            out = out | (too_near(cosine, positive_B, margin) & ~positive)
        kept.append(cosine.masked_fill(out, -torch.inf))
    return -(positive_B / temperature - torch.logsumexp(torch.cat(kept, 1) / temperature, 1)).mean()


def too_near(cosine: Tensor, positive_B: Tensor, margin: float) -> Tensor:
    """True where a negative is nearer than the positive by more than the margin, and so is likely a positive itself."""
    return cosine.detach() > (positive_B.detach() + margin).unsqueeze(1)


class MaskedRankingLoss(losses.MultipleNegativesRankingLoss):
    """MultipleNegativesRankingLoss without likely false negatives."""

    def __init__(self, model: Any, temperature: float, directions: Sequence[str], margin: float) -> None:
        super().__init__(model, scale=1 / temperature, directions=tuple(directions))
        self.margin = margin

    def compute_loss_from_embeddings(self, embeddings: list[Tensor], labels: Tensor | None) -> Tensor:
        return info_nce(embeddings[0], embeddings[1:], 1 / self.scale, self.directions, self.margin)


class MaskedCachedRankingLoss(losses.CachedMultipleNegativesRankingLoss):
    """`MaskedRankingLoss` for batches larger than memory (gradient caching, Gao et al. 2021, arXiv 2101.06983)."""

    def __init__(self, model: Any, temperature: float, directions: Sequence[str], margin: float, mini_batch: int) -> None:
        super().__init__(model, scale=1 / temperature, directions=tuple(directions), mini_batch_size=mini_batch)
        self.margin = margin

    def calculate_loss(self, reps: list[list[Tensor]], labels: Tensor | None = None, *, with_backward: bool = False) -> Tensor:
        whole = [torch.cat(column) for column in reps]
        loss = info_nce(whole[0], whole[1:], 1 / self.scale, self.directions, self.margin)
        if with_backward:
            loss.backward()
            loss = loss.detach()
        return loss


def ranking_loss(
    model: Any, temperature: float, directions: Sequence[str], margin: float | None, mini_batch: int | None
) -> nn.Module:
    """The library's loss, or ours if likely false negatives are to be dropped."""
    scale, ways = 1 / temperature, tuple(directions)
    if margin is None and mini_batch is None:
        return losses.MultipleNegativesRankingLoss(model, scale=scale, directions=ways)
    if margin is None:
        return losses.CachedMultipleNegativesRankingLoss(model, scale=scale, directions=ways, mini_batch_size=mini_batch)
    if mini_batch is None:
        return MaskedRankingLoss(model, temperature, ways, margin)
    return MaskedCachedRankingLoss(model, temperature, ways, margin, mini_batch)


class DistilAndRank(nn.Module):
    """Divergence from the teacher's distribution over each example's documents, plus weighted InfoNCE (E5, arXiv 2212.03533)."""

    def __init__(self, model: Any, temperature: float, teacher_temperature: float, contrastive: float) -> None:
        super().__init__()
        self.model, self.temperature, self.contrastive = model, temperature, contrastive
        self.distil = losses.DistillKLDivLoss(model, student_temperature=temperature, teacher_temperature=teacher_temperature)
        self.rank = losses.MultipleNegativesRankingLoss(model, scale=1 / temperature)

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor) -> dict[str, Tensor]:
        embeddings = embed_columns(self.model, sentence_features)
        divergence = self.distil.compute_loss_from_embeddings(embeddings, labels)
        found = {"distil": divergence / self.temperature**2}  # undoes the library's factor, which leaves hardly any gradient
        if self.contrastive:
            found["rank"] = self.contrastive * self.rank.compute_loss_from_embeddings(embeddings, labels)
        return found
