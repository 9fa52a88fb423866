"""Scores of pairs: sentence-transformers' `CrossEncoder` on our tokens, batched so that short pairs do not wait for long ones."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from fmtbench.embed.batching import token_batches
from fmtbench.embed.pairs import PairTokens, TextPair


class PairScores(NamedTuple):
    """Scores in the order of the pairs, float32."""

    scores: NDArray[np.float32]
    tokens: int
    """The number of tokens that went through the model."""
    cut: int
    """The number of pairs that were longer than the context."""


class PairScorer:
    """A reranker with its weights in memory.

    `modules` are sentence-transformers', the last of which gives one score per row; `tokens` makes their features. A language
    model is padded on the left, since its score is read at the last position.
    """

    def __init__(
        self,
        modules: list[Any],
        tokens: Callable[[Any], list[PairTokens]],
        batch_tokens: int,
        side: Literal["left", "right"],
    ) -> None:
        from sentence_transformers import CrossEncoder

        self.model = CrossEncoder(modules=modules).eval()
        self.model.set_keep_in_fp32_modules(_head(self.model))  # with bfloat16's 8 bits of precision many scores would tie
        self.tokenizer = modules[0].tokenizer
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.tokens, self.batch_tokens, self.side = tokens, batch_tokens, side
        self.last_only = {"logits_to_keep": 1} if len(modules) > 1 else {}

    def scores(self, pairs: Sequence[TextPair]) -> PairScores:
        """A higher score means that a document answers its query better. Raises `UserError` if a document has no room."""
        tokens = self.tokens(pairs) if pairs else []
        scores = np.zeros(len(pairs), np.float32)
        for batch in token_batches([len(one.features["input_ids"]) for one in tokens], self.batch_tokens):
            scores[batch] = self._batch([tokens[i] for i in batch])
        return PairScores(scores, sum(len(one.features["input_ids"]) for one in tokens), sum(one.cut for one in tokens))

    def _batch(self, batch: list[PairTokens]) -> NDArray[np.float32]:
        padded = self.tokenizer.pad([one.features for one in batch], padding_side=self.side, return_tensors="pt")
        with torch.inference_mode():
            scores_B1 = self.model({**padded.to(self.model.device), **self.last_only})["scores"]
        found: NDArray[np.float32] = scores_B1[:, 0].float().cpu().numpy()
        return found

    def close(self) -> None:
        """Free the weights."""
        del self.model
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _head(model: Any) -> list[str]:
    """The name of the layer that gives the score: one number, or the logits of all words."""
    words = model.transformers_model.get_output_embeddings()
    layers = [(name, one) for name, one in model.named_modules() if isinstance(one, torch.nn.Linear)]
    return [name for name, one in layers if one is words or one.out_features == 1][-1:]
