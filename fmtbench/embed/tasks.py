"""Evaluation tasks from files, judged by mteb's own evaluators.

Each YAML in `conf/embed_task/` gives one of these classes its rows. They come from `fmtbench.tasks.source.Source`, which
reads the hub or a local file; this package knows only the protocol `Rows`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, Literal, Protocol

from pydantic import ConfigDict, Field, SkipValidation
from pydantic.dataclasses import dataclass

from fmtbench.errors import UserError

Articles = Literal["all", "first", "last"]
OTHERS = 10
"""Documents in the corpus per query, if there is a limit."""


class Rows(Protocol):
    """One split of a data set."""

    @property
    def place(self) -> str:
        """Where it is, for messages."""

    def rows(self) -> list[Any]:
        """All rows, in order: records with `id`, `text(name)`, `value(name)` and `reject(name, problem)`."""


class EmbedTask(ABC):
    """Makes loaded mteb tasks."""

    @abstractmethod
    def tasks(self, name: str, limit: int | None) -> dict[str, Any]:
        """mteb tasks with their data, by the name of their column. Raises `UserError` for a mistake in the data."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class Local(EmbedTask, ABC):
    """What every task from files has in common."""

    language: str = "eng-Latn"
    """ISO 639-3 code and script."""
    instruction: str
    """What to look for, for templates with `{instruction}`."""

    def tasks(self, name: str, limit: int | None) -> dict[str, Any]:
        return {name: self.make(name, limit)}

    @abstractmethod
    def make(self, name: str, limit: int | None) -> Any:
        """An mteb `AbsTask` with its data. Raises `UserError` for a mistake in the data."""

    def define(self, name: str, base: type, kind: str, main_score: str, dataset: Any) -> Any:
        """An mteb task on this data."""
        from mteb.abstasks.task_metadata import TaskMetadata

        metadata = TaskMetadata(
            name=name,
            description=f"{name}, from local rows",
            dataset={"path": name, "revision": "local"},
            type=kind,
            category="t2t",
            eval_splits=["test"],
            eval_langs=[self.language],
            main_score=main_score,
            prompt=self.instruction,
        )
        task = type(name, (base,), {"metadata": metadata})()
        task.dataset, task.data_loaded = dataset, True
        return task


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class STS(Local):
    """Similarity of sentence pairs: `sentence1`, `sentence2`, `score`. Main score: Spearman's correlation with the cosines."""

    source: SkipValidation[Rows]
    highest: int = Field(default=5, gt=0)

    def make(self, name: str, limit: int | None) -> Any:
        from datasets import Dataset, DatasetDict
        from mteb.abstasks.sts import AbsTaskSTS

        rows = [self._pair(row) for row in self.source.rows()[:limit]]
        return self.define(name, AbsTaskSTS, "STS", "cosine_spearman", DatasetDict(test=Dataset.from_list(rows)))

    def _pair(self, row: Any) -> dict[str, Any]:
        try:
            score = float(row.value("score"))
        except (TypeError, ValueError):
            row.reject("score", f"must be a number from 0 to {self.highest}, got {row.value('score')!r}")
        if not 0 <= score <= self.highest:
            row.reject("score", f"must lie from 0 to {self.highest}, got {score}")
        return {"sentence1": row.text("sentence1"), "sentence2": row.text("sentence2"), "score": score}


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class TextClassification(Local):
    """Labels of short texts: `text`, `label`. A logistic regression on eight texts per label, ten times. Main score: accuracy.

    With a limit, the test texts are evenly spaced.
    """

    train: SkipValidation[Rows]
    test: SkipValidation[Rows]

    def make(self, name: str, limit: int | None) -> Any:
        from datasets import Dataset, DatasetDict
        from mteb.abstasks.classification import AbsTaskClassification

        rows = self.test.rows()
        spaced = rows[:: max(1, len(rows) // (limit or len(rows)))][:limit]  # files are often sorted by label
        train = [(row.text("text"), row.text("label")) for row in self.train.rows()]
        test = [(row.text("text"), row.text("label")) for row in spaced]
        number = {label: i for i, label in enumerate(sorted({label for _, label in train}))}
        if unknown := sorted({label for _, label in test} - set(number)):
            raise UserError(f"{self.test.place}: labels that {self.train.place} does not have: {', '.join(unknown[:3])}")
        splits = {
            split: Dataset.from_list([{"text": text, "label": number[label]} for text, label in rows])
            for split, rows in (("train", train), ("test", test))
        }
        return self.define(name, AbsTaskClassification, "Classification", "accuracy", DatasetDict(splits))


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class Retrieval(Local):
    """Search in BEIR's form: documents, queries, and which belong together. Main score: nDCG@10.

    With a limit, it takes the first queries, their documents, and the first other documents, up to ten per query.
    """

    corpus: SkipValidation[Rows]
    queries: SkipValidation[Rows]
    qrels: SkipValidation[Rows]

    def make(self, name: str, limit: int | None) -> Any:
        documents = {row.text("id"): (str(row.value("title") or ""), row.text("text")) for row in self.corpus.rows()}
        queries = {row.text("id"): row.text("text") for row in self.queries.rows()}
        relevant: dict[str, dict[str, int]] = {}
        for row in self.qrels.rows():
            relevant.setdefault(row.text("query"), {})[row.text("document")] = int(row.text("score"))
        _check_ids(self.qrels.place, self.queries.place, "queries", relevant, queries)
        _check_ids(
            self.qrels.place, self.corpus.place, "documents", (one for many in relevant.values() for one in many), documents
        )
        return search_task(self, name, documents, queries, relevant, limit)


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class QuestionParagraph(Local):
    """Search for the paragraph that a SQuAD-like question was asked about. Main score: nDCG@10."""

    source: SkipValidation[Rows]
    """Its rows are articles with `paragraphs`, each a `context` with `qas`."""
    articles: Articles = "all"
    """Take the second half, `last`, if the first is trained on: no article is in both."""

    def make(self, name: str, limit: int | None) -> Any:
        documents: dict[str, tuple[str, str]] = {}
        queries: dict[str, str] = {}
        relevant: dict[str, dict[str, int]] = {}
        for row in half(self.source.rows(), self.articles):
            for number, paragraph in enumerate(row.value("paragraphs") or ()):
                document = f"{row.id}-{number}"
                documents[document] = ("", paragraph["context"])
                for question in paragraph["qas"]:
                    queries[question["id"]] = question["question"]
                    relevant[question["id"]] = {document: 1}
        if not queries:
            raise UserError(f"{self.source.place}: no row has paragraphs with questions: give a set in SQuAD's form")
        return search_task(self, name, documents, queries, relevant, limit)


def half(rows: list[Any], articles: Articles) -> list[Any]:
    """All rows, or the first or the last half of them; with an odd number the last half has one more."""
    middle = len(rows) // 2
    return {"all": rows, "first": rows[:middle], "last": rows[middle:]}[articles]


def search_task(task: Local, name: str, documents: Any, queries: Any, relevant: Any, limit: int | None) -> Any:
    """An mteb retrieval task from plain dictionaries: id to (title, text), id to text, id to {id: relevance}.

    Queries without a relevant document are left out, as BEIR does.
    """
    from datasets import Dataset
    from mteb.abstasks.retrieval import AbsTaskRetrieval

    asked = [query for query in queries if any(score > 0 for score in relevant.get(query, {}).values())][:limit]
    if not asked:
        raise UserError(f"{name}: no query has a relevant document: check the file of relevance judgements")
    kept = documents if limit is None else _some(documents, [relevant[query] for query in asked])
    data = {
        "corpus": Dataset.from_list([{"id": one, "title": title, "text": text} for one, (title, text) in kept.items()]),
        "queries": Dataset.from_list([{"id": query, "text": queries[query]} for query in asked]),
        "relevant_docs": {query: relevant[query] for query in asked},
        "top_ranked": None,
    }
    return task.define(name, AbsTaskRetrieval, "Retrieval", "ndcg_at_10", {"default": {"test": data}})


def _some(documents: dict[str, Any], relevant: Sequence[dict[str, int]]) -> dict[str, Any]:
    needed = {one for many in relevant for one in many}
    others = [one for one in documents if one not in needed][: max(0, OTHERS * len(relevant) - len(needed))]
    kept = needed.union(others)
    return {one: text for one, text in documents.items() if one in kept}


def _check_ids(place: str, there: str, what: str, named: Iterable[str], known: dict[str, Any]) -> None:
    if dangling := sorted(set(named) - set(known)):
        few = ", ".join(dangling[:3])
        raise UserError(
            f"{place} names {len(dangling)} {what} that {there} does not hold ({few}): the files do not belong together"
        )
