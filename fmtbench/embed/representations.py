"""Texts as represented by several heads: dense vectors, lexical weights, and a vector per token, from one forward pass.

Shapes: N texts, D and M dimensions, V ids of the vocabulary, T tokens of all texts together.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from fmtbench.embed.embedder import Vectors, shortened
from fmtbench.embed.m3 import lexical, terms, token_vectors, vectors_kept
from fmtbench.embed.st import STEmbedder
from fmtbench.embed.templates import Role
from fmtbench.embed.tokens import Tokens, tokenise


class Represented(NamedTuple):
    """N texts, in order. A field is None if the encoder has no head for it."""

    dense_ND: Vectors
    """Unit length."""
    sparse_NV: Any
    """A scipy CSR array; a text of only special tokens has an empty row."""
    tokens_TM: Vectors | None
    """Unit vectors; those of text i are `tokens_TM[start:end]`, where `start, end = spans_N2[i]`."""
    spans_N2: NDArray[np.int64]
    tokens: int
    """The number of tokens that went through the model."""
    cut: int
    """The number of texts that were longer than the context."""
    spared: float = 0.0
    """The seconds saved because it was already there: what making it took."""


def represent(
    embedder: STEmbedder, texts: Sequence[str], role: Role, instruction: str, store: BinaryIO | None = None
) -> Represented:
    """The texts as represented by all heads that the embedder has.

    The tokens' vectors go into `store` (float32) if there is one, so that those of a corpus need no memory; `tokens_TM` is then
    None.
    """
    tokens = tokenise(embedder.tokenizer, texts, embedder.spec, role, instruction)
    batches, kept = list(embedder.batches(tokens)), io.BytesIO() if store is None else store
    parts = [_batch(embedder, [tokens[i] for i in batch], kept) for batch in batches]
    back = np.argsort(np.concatenate(batches))
    lengths = np.concatenate([part[2] for part in parts])
    ends = np.cumsum(lengths)
    layer = embedder.loaded.heads.multi
    return Represented(
        dense_ND=shortened(np.concatenate([part[0] for part in parts])[back], embedder.spec.dimensions),
        sparse_NV=_stacked([part[1] for part in parts], back),
        tokens_TM=_read(kept, layer.out_features) if layer is not None and isinstance(kept, io.BytesIO) else None,
        spans_N2=np.stack([ends - lengths, ends], 1)[back],
        tokens=sum(len(one.ids) for one in tokens),
        cut=sum(one.cut for one in tokens),
    )


def _read(kept: io.BytesIO, width: int) -> Vectors:
    return np.frombuffer(kept.getvalue(), np.float32).reshape(-1, width)


def _stacked(parts: list[Any], order: NDArray[np.int64]) -> Any:
    from scipy.sparse import vstack

    return None if parts[0] is None else vstack(parts, format="csr")[order]


def _batch(embedder: STEmbedder, batch: list[Tokens], store: BinaryIO) -> tuple[Vectors, Any, NDArray[np.int64]]:
    """Dense vectors, lexical weights, and the number of vectors that each text has put into the store."""
    ids_BL, mask_BL, hidden_BLD = embedder.states(batch)
    heads, sparse, lengths = embedder.loaded.heads, None, np.zeros(len(batch), np.int64)
    with torch.inference_mode():
        if heads.sparse is not None:
            sparse = _weights(embedder, hidden_BLD, ids_BL, mask_BL)
        if heads.multi is not None:
            kept_BL = vectors_kept(ids_BL, mask_BL, embedder.tokenizer)
            store.write(token_vectors(hidden_BLD, kept_BL, heads.multi)[kept_BL].cpu().numpy().tobytes())
            lengths = kept_BL.sum(1).cpu().numpy()
    return embedder.dense(hidden_BLD, mask_BL), sparse, lengths


def _weights(embedder: STEmbedder, hidden_BLD: torch.Tensor, ids_BL: torch.Tensor, mask_BL: torch.Tensor) -> Any:
    from scipy.sparse import csr_array

    vocabulary = embedder.loaded.model.transformers_model.config.vocab_size
    term_BL = terms(ids_BL, mask_BL, embedder.tokenizer)
    return csr_array(lexical(hidden_BLD, ids_BL, term_BL, embedder.loaded.heads.sparse, vocabulary).cpu().numpy())
