"""BGE-M3's loss: contrastive for each head and for their sum, which also teaches each of them (arXiv 2402.03216).

Shapes: B examples, N texts that a query is compared with (the positives first, then each column of hard negatives), L positions,
M dimensions of a token's vector, V ids of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from sentence_transformers.multi_vector_encoder.scoring import mean_colbert_scores
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fmtbench.embed.m3 import Heads, lexical, terms, token_vectors, vectors_kept

LEXICAL, IN_SUM = 0.1, 0.3
"""The weights of lexical losses and, in the sum of scores, of lexical scores, as in the paper's own code."""


def m3_loss(dense_BN: Tensor, lexical_BN: Tensor, multi_BN: Tensor, temperature: float, distil: bool) -> Tensor:
    """The loss of one batch; the positive of query i is text i.

    With s the weighted sum of the scores, L = (L_dense + L_s + 0.1 L_lexical + L_multi) / 4. With self-distillation from
    softmax(s), which gets no gradient, (L + (KD_dense + 0.1 KD_lexical + KD_multi) / 3) / 2.
    """
    positive_B = torch.arange(len(dense_BN), device=dense_BN.device)
    together_BN = (dense_BN + IN_SUM * lexical_BN + multi_BN) / temperature

    def each(target: Tensor) -> Tensor:
        dense, multi = (cross_entropy(scores_BN / temperature, target) for scores_BN in (dense_BN, multi_BN))
        return dense + LEXICAL * cross_entropy(lexical_BN / temperature, target) + multi

    loss = (each(positive_B) + cross_entropy(together_BN, positive_B)) / 4
    return (loss + each(together_BN.detach().softmax(1)) / 3) / 2 if distil else loss


class HeadModule(nn.Module):
    """The heads after the pooling, as a module of the trainer's model, so that its checkpoints and optimiser include them."""

    def __init__(self, heads: Heads, tokenizer: Any, vocabulary: int) -> None:
        super().__init__()
        self.heads, self.tokenizer, self.vocabulary = heads, tokenizer, vocabulary

    def forward(self, features: dict[str, Any]) -> dict[str, Any]:
        hidden_BLD, ids_BL, mask_BL = (features[name] for name in ("token_embeddings", "input_ids", "attention_mask"))
        kept_BL = vectors_kept(ids_BL, mask_BL, self.tokenizer)
        term_BL = terms(ids_BL, mask_BL, self.tokenizer)
        features["lexical"] = lexical(hidden_BLD, ids_BL, term_BL, self.heads.sparse, self.vocabulary)
        features["multi"], features["multi_mask"] = token_vectors(hidden_BLD, kept_BL, self.heads.multi), kept_BL
        return features


class M3Loss(nn.Module):
    """In-batch negatives and each example's own hard negatives, for every head."""

    def __init__(self, model: Any, temperature: float, distill_from: int | None) -> None:
        super().__init__()
        self.model, self.temperature, self.distill_from = model, temperature, distill_from
        self.step = 0
        """Set by the trainer, also after a resume."""
        self.said: dict[str, float] = {}
        """For the loss curve: the share of the last batch's texts whose lexical vector is empty, and the terms per text."""

    def forward(self, sentence_features: Iterable[dict[str, Any]], labels: Tensor | None = None) -> Tensor:
        query, *others = (self.model(features) for features in sentence_features)
        lexical_NV = torch.cat([one["lexical"] for one in others])
        self.said = lexical_facts(lexical_NV)
        dense_BN = query["sentence_embedding"] @ torch.cat([one["sentence_embedding"] for one in others]).T
        multi_BN = torch.cat([self._multi(query, one) for one in others], 1)
        distil = self.distill_from is not None and self.step >= self.distill_from
        return m3_loss(dense_BN, query["lexical"] @ lexical_NV.T, multi_BN, self.temperature, distil)

    def _multi(self, query: dict[str, Any], other: dict[str, Any]) -> Tensor:
        masks = {"queries_mask": query["multi_mask"], "documents_mask": other["multi_mask"].unsqueeze(1)}
        return mean_colbert_scores(query["multi"], other["multi"].unsqueeze(1), **masks)


def lexical_facts(lexical_NV: Tensor) -> dict[str, float]:
    """The share of empty lexical vectors, and the mean number of terms per text."""
    count_N = (lexical_NV.detach() > 0).sum(1).float()
    return {"empty": float((count_N == 0).float().mean()), "terms": float(count_N.mean())}
