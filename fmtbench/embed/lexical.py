"""Lexical baselines: TF-IDF and BM25 over words or character n-grams. A small backbone may well lose to them.

They have no vectors to store, so they implement mteb's protocols themselves: TF-IDF encodes pairs and texts to classify, and
both search. Korean joins particles to words, so character n-grams are the fair baseline there.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from fmtbench.embed.mteb_model import named
from fmtbench.errors import UserError

POSTING = 8
"""Bytes per term and document: four for the document's number, four for the weight."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Lexical(ABC):
    """A baseline, with what counts as a term; the names are scikit-learn's."""

    analyzer: Literal["word", "char", "char_wb"] = "word"
    ngram_range: tuple[int, int] = (1, 1)

    def facts(self) -> dict[str, Any]:
        """Part of the key of every score, the class name included."""
        return {"baseline": type(self).__name__, **asdict(self)}

    @abstractmethod
    def model(self, task: Any) -> Any | None:
        """A model for one mteb task, in mteb's protocols; None if the baseline does not apply."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class TfIdf(Lexical):
    """Cosines of TF-IDF vectors (scikit-learn), with document frequencies from the texts of the task.

    It applies to search, to similarity and to classification.
    """

    def model(self, task: Any) -> Any | None:
        if hasattr(task, "k_values"):
            return TfIdfSearch(self.vectorizer())
        return TfIdfEncoder(self.vectorizer, task) if _frequencies(task) else None

    def vectorizer(self) -> Any:
        """An unfitted scikit-learn vectorizer; its rows have unit length."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        settings = {"analyzer": self.analyzer, "ngram_range": self.ngram_range}
        return TfidfVectorizer(**settings, sublinear_tf=True, dtype=np.float32)


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class BM25(Lexical):
    """Okapi BM25 as Lucene scores it (bm25s, Lù 2024, arXiv 2407.03618): only for search."""

    k1: float = 1.5
    b: float = 0.75

    def model(self, task: Any) -> Any | None:
        return BM25Search(self) if hasattr(task, "k_values") else None


def _frequencies(task: Any) -> bool:
    """Whether an mteb task says which of its texts give document frequencies."""
    return hasattr(task, "train_split") or (hasattr(task, "column_names") and hasattr(task, "max_score"))


def known_texts(task: Any, subset: str, split: str) -> list[str]:
    """The texts of one subset that give the document frequencies: both sentences of each pair, or the training texts."""
    data = task.dataset.get(subset, task.dataset)  # a task of one language has no level of subsets
    if hasattr(task, "train_split"):
        return [str(text) for text in data[task.train_split][task.input_column_name]]
    return [str(text) for text in itertools.chain.from_iterable(data[split][column] for column in task.column_names)]


class TfIdfEncoder:
    """TF-IDF in mteb's `EncoderProtocol`, fitted for each subset of the task: its languages share no frequencies."""

    def __init__(self, vectorizer: Callable[[], Any], task: Any) -> None:
        self.vectorizer, self.task = vectorizer, task
        self.fitted: tuple[Any, Any] = (None, None)
        self.mteb_model_meta = named("tfidf")

    def encode(self, inputs: Any, *, hf_subset: str, hf_split: str, **unused: Any) -> Any:
        place = hf_subset if hasattr(self.task, "train_split") else (hf_subset, hf_split)
        if self.fitted[0] != place:
            self.fitted = place, self.vectorizer().fit(known_texts(self.task, hf_subset, hf_split))
        return self.fitted[1].transform([text for batch in inputs for text in batch["text"]])

    def similarity(self, one: Any, other: Any) -> Any:
        return (one @ other.T).toarray()

    def similarity_pairwise(self, one: Any, other: Any) -> Any:
        return np.asarray(one.multiply(other).sum(1)).ravel()


def documents(corpus: Any) -> list[str]:
    """Title and text of each mteb document, joined as mteb does."""
    titles = corpus["title"] if "title" in corpus.column_names else [""] * len(corpus)
    return [f"{title or ''} {text}".strip() for title, text in zip(titles, corpus["text"])]


class LexicalSearch(ABC):
    """mteb's `SearchProtocol` over plain lists of texts."""

    def index(self, corpus: Any, **unused: Any) -> None:
        """Index the documents: title and text."""
        self.ids = list(corpus["id"])
        self.add(documents(corpus))
        self.document_bytes = POSTING * self.postings() / len(self.ids)

    def search(self, queries: Any, *, top_k: int, top_ranked: Any = None, **unused: Any) -> dict[str, dict[str, float]]:
        """The best documents for each query, with their scores; only from `top_ranked` if a task gives candidates."""
        place = {one: i for i, one in enumerate(self.ids)}
        found = {}
        for query, scores in zip(queries["id"], self.scores(list(queries["text"]))):
            among = np.arange(len(self.ids)) if top_ranked is None else places(query, top_ranked.get(query, ()), place)
            best = among[np.argsort(-scores[among], kind="stable")[:top_k]]
            found[query] = {self.ids[i]: float(scores[i]) for i in best}
        return found

    @abstractmethod
    def add(self, documents: Sequence[str]) -> None:
        """Index the documents, given as plain texts."""

    @abstractmethod
    def postings(self) -> int:
        """The number of pairs of term and document in the index."""

    @abstractmethod
    def scores(self, queries: Sequence[str]) -> Any:
        """For each query, a score for each document."""


def places(query: str, candidates: Sequence[str], place: Mapping[str, int]) -> Any:
    """The numbers of a query's candidates. Raises `UserError` if one is not in the corpus."""
    if missing := [one for one in candidates if one not in place]:
        raise UserError(f"query {query}: {len(missing)} of its candidates are no documents of the corpus ({missing[0]})")
    return np.array([place[one] for one in candidates], int)


class TfIdfSearch(LexicalSearch):
    """Cosines with the query; document frequencies come from the corpus."""

    def __init__(self, vectorizer: Any) -> None:
        self.vectorizer = vectorizer
        self.mteb_model_meta = named("tfidf")

    def add(self, documents: Sequence[str]) -> None:
        self.matrix = self.vectorizer.fit_transform(documents)

    def postings(self) -> int:
        return int(self.matrix.nnz)

    def scores(self, queries: Sequence[str]) -> Any:
        return ((self.vectorizer.transform([query]) @ self.matrix.T).toarray()[0] for query in queries)


class BM25Search(LexicalSearch):
    """bm25s' index over scikit-learn's terms."""

    def __init__(self, settings: BM25) -> None:
        from sklearn.feature_extraction.text import CountVectorizer

        self.settings = settings
        self.terms = CountVectorizer(analyzer=settings.analyzer, ngram_range=settings.ngram_range).build_analyzer()
        self.mteb_model_meta = named("bm25")

    def add(self, documents: Sequence[str]) -> None:
        import bm25s

        self.index_of_terms = bm25s.BM25(method="lucene", k1=self.settings.k1, b=self.settings.b)
        self.index_of_terms.index([self.terms(text) for text in documents], show_progress=False)

    def postings(self) -> int:
        return len(self.index_of_terms.scores["data"])

    def scores(self, queries: Sequence[str]) -> Any:
        return (self._scores(self.terms(query)) for query in queries)

    def _scores(self, terms: list[str]) -> Any:
        known = [term for term in terms if term in self.index_of_terms.vocab_dict]
        return self.index_of_terms.get_scores(known) if known else np.zeros(len(self.ids), np.float32)
