"""The rank of a query's own document among others, and how accurate a filter by that rank is.

Shapes: N pairs, M documents of the pool, D dimensions (for TF-IDF, terms).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

ROUNDING = 1e-6
"""Cosines this close count as equal: the order of summation alone makes them differ that much."""


def ranks(queries_ND: Any, own_ND: Any, pool_MD: Any, own: Sequence[str], pool: Sequence[str], most: int) -> list[int]:
    """For each pair, how many other documents of the pool are at least as near to the query as its own, up to `most`.

    The vectors are torch tensors, dense or sparse, of unit length or zero. `own` and `pool` are the documents as texts, since the
    pool may also hold a query's own document. A document that shares nothing with its query ties with all others and ranks last.
    """
    from sentence_transformers.util import dot_score, semantic_search

    scores = (queries_ND * own_ND).sum(1)
    scores = scores.to_dense() if scores.is_sparse else scores
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Sparse CSR tensor support is in beta"
        )  # what torch itself uses to multiply sparse tensors
        found = semantic_search(queries_ND, pool_MD, top_k=most + 1, score_function=dot_score)
    return [
        min(most, sum(hit["score"] >= score - ROUNDING and pool[int(hit["corpus_id"])] != document for hit in hits))
        for hits, score, document in zip(found, scores.tolist(), own)
    ]


def as_sparse(matrix: Any) -> Any:
    """A scipy matrix as a sparse torch tensor."""
    import torch

    one = matrix.tocoo()
    return torch.sparse_coo_tensor(np.stack([one.row, one.col]), one.data, one.shape, check_invariants=False).coalesce()


def filtered(ranked: Sequence[int], wrong: Sequence[bool], k: int) -> dict[str, float | None]:
    """What a filter that keeps ranks below k achieves: the share of pairs kept, precision, and recall, over right pairs.

    Precision is the share of right pairs among the kept, recall the share of right pairs that are kept; both are None if no pair
    is known to be wrong.
    """
    kept = np.asarray(ranked) < k
    right = ~np.asarray(wrong, bool)
    if right.all():
        return {"kept": float(kept.mean()), "precision": None, "recall": None}
    precision = float(right[kept].mean()) if kept.any() else None
    return {"kept": float(kept.mean()), "precision": precision, "recall": float(kept[right].mean())}
