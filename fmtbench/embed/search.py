"""Search by one head, or by several together, in mteb's `SearchProtocol`.

Dense vectors and lexical weights are compared with every document, exactly; token vectors only with `candidates`, the best
documents of each of the other two. Shapes: N documents, C of them, V ids of the vocabulary, Q tokens of a query.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fmtbench.embed.lexical import POSTING, documents, places
from fmtbench.embed.mteb_model import MtebEncoder, instruction_of
from fmtbench.embed.representations import Represented, represent

Fusion = Literal["sum", "rrf"]
WEIGHTS = {"dense": 1.0, "sparse": 0.3, "multi": 1.0}
"""The weights of the heads in a sum, as BGE-M3 is trained."""


def max_sim(query_QM: Any, corpus: Represented, among_C: NDArray[np.int64]) -> NDArray[np.float32]:
    """The mean over the query's tokens of the largest cosine with a token of the document; 0 if either side has no token.

    ColBERT's score (arXiv 2004.12832) in BGE-M3's variant.
    """
    found_C = np.zeros(len(among_C), np.float32)
    spans = corpus.spans_N2[among_C]
    full = np.flatnonzero(spans[:, 1] > spans[:, 0])
    if len(query_QM) and len(full):
        rows_TM = np.concatenate([corpus.tokens_TM[first:last] for first, last in spans[full]])  # type: ignore[index]
        starts = np.cumsum(spans[full, 1] - spans[full, 0]) - (spans[full, 1] - spans[full, 0])
        found_C[full] = np.maximum.reduceat(query_QM @ rows_TM.T, starts, axis=1).mean(0)
    return found_C


class Corpus:
    """A corpus that can be searched by the heads that represent it."""

    def __init__(self, represented: Represented) -> None:
        self.represented = represented
        self.size = len(represented.dense_ND)
        sparse = represented.sparse_NV
        self.postings_VN = None if sparse is None else sparse.T.tocsr()
        """The inverted index: the documents of each term."""

    def scores(self, queries: Represented, number: int) -> dict[str, NDArray[np.float32]]:
        """Scores of one query with all N documents, by the heads for which that is cheap."""
        found = {"dense": self.represented.dense_ND @ queries.dense_ND[number]}
        if self.postings_VN is not None:
            found["sparse"] = (queries.sparse_NV[[number]] @ self.postings_VN).toarray()[0]
        return found

    def bytes_of(self, heads: Sequence[str]) -> float:
        """The average bytes that a document takes for these heads."""
        found = self.represented
        tokens = 0 if found.tokens_TM is None else found.tokens_TM.size
        terms = 0 if found.sparse_NV is None else found.sparse_NV.nnz
        taken = {"dense": 4 * found.dense_ND.size, "sparse": POSTING * terms, "multi": 4 * tokens}
        return float(sum(taken[head] for head in heads) / max(1, self.size))

    def multi(self, queries: Represented, number: int, among_C: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scores of one query with some documents, by token vectors."""
        first, last = queries.spans_N2[number]
        return max_sim(queries.tokens_TM[first:last], self.represented, among_C)  # type: ignore[index]


def candidates(scores: Mapping[str, NDArray[np.float32]], count: int) -> NDArray[np.int64]:
    """The indices of the best `count` documents of each head, sorted; the lexical head gives only documents that share a term."""
    best = [_best(one)[:count] for name, one in scores.items() if name != "sparse"]
    best += [_best(one)[: min(count, np.count_nonzero(one))] for name, one in scores.items() if name == "sparse"]
    return np.unique(np.concatenate(best))


def _best(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.argsort(-scores, kind="stable")


def fused(parts: Mapping[str, NDArray[np.float32]], fusion: Fusion) -> NDArray[np.float32]:
    """One score for each of C documents: the heads' weighted sum, or mteb's reciprocal rank fusion of their ranks."""
    if len(parts) == 1:
        return next(iter(parts.values()))
    if fusion == "sum":
        return np.sum([WEIGHTS[name] * one for name, one in parts.items()], axis=0)
    from mteb.models.hybrid_wrappers import fuse_rrf

    ranks = [_ranked(one, int(np.count_nonzero(one)) if name == "sparse" else len(one)) for name, one in parts.items()]
    total = fuse_rrf(ranks, [1.0] * len(ranks))
    return np.array([total.get(i, 0.0) for i in range(len(next(iter(parts.values()))))], np.float32)


def _ranked(scores: NDArray[np.float32], count: int) -> dict[Any, float]:
    return {int(i): float(scores[i]) for i in _best(scores)[:count]}


class HeadSearch:
    """One row of the table on one task."""

    def __init__(self, embedder: Any, name: str, task: Any, row: Any) -> None:
        self.embedder, self.side = embedder, MtebEncoder(embedder, name, task)
        self.row, self.mteb_model_meta = row, self.side.mteb_model_meta
        self.texts = self.tokens = self.cut = 0
        self.spared = 0.0

    def index(self, corpus: Any, *, hf_split: str, hf_subset: str, **unused: Any) -> None:
        self.ids, texts = list(corpus["id"]), _filled(documents(corpus))
        instruction = instruction_of(self.side.task, "document")
        place = f"{self.side.task.metadata.name}-{hf_subset}-{hf_split}"

        def make(store: Any) -> Represented:
            return represent(self.embedder, texts, "document", instruction, store)

        found = self.row.indexed(place, [instruction, *self.ids, *texts], make)
        self.corpus, self.spared = Corpus(self._counted(found, len(texts))), found.spared
        self.document_bytes = self.corpus.bytes_of(self.row.by)

    def search(self, queries: Any, *, top_k: int, top_ranked: Any = None, **unused: Any) -> dict[str, dict[str, float]]:
        """The best documents for each query, with their scores; only from `top_ranked` if a task gives candidates.

        By lexical weights alone, a query that shares no term with any document finds nothing.
        """
        texts = _filled(list(queries["text"]))
        asked = represent(self.embedder, texts, "query", instruction_of(self.side.task, "query"))
        self._counted(asked, len(texts))
        place = {one: i for i, one in enumerate(self.ids)}
        found = {}
        for number, query in enumerate(queries["id"]):
            among = None if top_ranked is None else places(query, top_ranked.get(query, ()), place)
            chosen, parts = self._parts(asked, number, among)
            scores = fused(parts, self.row.fusion)
            found[query] = {self.ids[chosen[i]]: float(scores[i]) for i in _best(scores)[:top_k]}
        return found

    def _parts(self, asked: Represented, number: int, among: NDArray[np.int64] | None) -> tuple[Any, dict[str, Any]]:
        """The documents that a query is compared with, and their scores by each head of the row."""
        scores, heads = self.corpus.scores(asked, number), self.row.by
        if among is not None:
            chosen = among
        elif "multi" in heads:
            chosen = candidates(scores, self.row.candidates)
        else:
            chosen = np.flatnonzero(scores["sparse"]) if heads == ("sparse",) else np.arange(self.corpus.size)
        found = {name: scores[name][chosen] for name in heads if name != "multi"}
        if "multi" in heads:
            found["multi"] = self.corpus.multi(asked, number, chosen)
        return chosen, found

    def _counted(self, found: Represented, texts: int) -> Represented:
        self.texts, self.tokens, self.cut = self.texts + texts, self.tokens + found.tokens, self.cut + found.cut
        return found


def _filled(texts: Sequence[str]) -> list[str]:
    """The texts as mteb's encoders get them from us: a full stop in place of an empty text."""
    return [text if text.strip() else "." for text in texts]
