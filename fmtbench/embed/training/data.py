"""Training sets from rows. Each YAML in `conf/train_data/` gives one of these classes its rows.

Rows come from `fmtbench.tasks.source.Source`, which reads the hub or a local file; this package knows only the protocol `Rows`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from pydantic import ConfigDict, Field, SkipValidation
from pydantic.dataclasses import dataclass

from fmtbench.embed.tasks import Articles, Rows, half
from fmtbench.embed.training.examples import Example, TrainSet, distinct
from fmtbench.errors import UserError


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class TrainData(ABC):
    """A training set; nothing is read until `load`."""

    source: SkipValidation[Rows]
    instruction: str = ""
    """What to look for, for templates with `{instruction}`."""
    symmetric: bool = False

    @abstractmethod
    def load(self) -> TrainSet:
        """Read the rows. Raises `UserError` for a mistake in them."""

    def _pairs(self, pairs: Sequence[tuple[str, str]]) -> TrainSet:
        """A training set from pairs of a query and its document. Raises `UserError` if there are none."""
        if not pairs:
            raise UserError(f"{self.source.place} gives no pair to train on: check its rows, and what is held back")
        settings = {"instruction": self.instruction, "symmetric": self.symmetric}
        examples = tuple(Example(anchor=query, positive=document, **settings) for query, document in pairs)  # type: ignore[arg-type]
        return TrainSet(examples=examples, texts=_all_texts(examples))


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class ScoredPairs(TrainData):
    """`sentence1`, `sentence2`, `score`: pairs with a score of at least `least` are positives."""

    least: float = 4.0

    def load(self) -> TrainSet:
        rows = [(row.text("sentence1"), row.text("sentence2"), self._score(row)) for row in self.source.rows()]
        kept = [(one, other) for one, other, score in rows if score >= self.least and one != other]
        if not kept:
            raise UserError(f"{self.source.place}: no pair has a score of at least {self.least}: lower least")
        made = [Example(anchor=a, positive=b, instruction=self.instruction, symmetric=self.symmetric) for a, b in kept]
        return TrainSet(examples=tuple(made), texts=distinct(text for one, other, _ in rows for text in (one, other)))

    def _score(self, row: Any) -> float:
        try:
            score = float(row.value("score"))
        except (TypeError, ValueError) as error:
            raise UserError(f"{row.where}: score must be a number, got {row.value('score')!r}") from error
        if not math.isfinite(score):  # NaN would be below every `least`, and the pair silently left out
            raise UserError(f"{row.where}: score must be a finite number, got {score}: correct it, or leave the row out")
        return score


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class Inference(TrainData):
    """`premise`, `hypothesis`, `label`: the entailment is positive, the contradiction negative (SimCSE, arXiv 2104.08821)."""

    entailment: str = "entailment"
    contradiction: str = "contradiction"

    def load(self) -> TrainSet:
        found: dict[str, dict[str, str]] = {}
        for row in self.source.rows():
            found.setdefault(row.text("premise"), {}).setdefault(row.text("label"), row.text("hypothesis"))
        needed = {self.entailment, self.contradiction}
        whole = {premise: by_label for premise, by_label in found.items() if needed <= by_label.keys()}
        if not whole:
            labels = sorted({label for by_label in found.values() for label in by_label})
            raise UserError(
                f"{self.source.place}: no premise has both '{self.entailment}' and '{self.contradiction}'; labels there: {labels}"
            )
        made = [
            Example(
                anchor=premise,
                positive=by_label[self.entailment],
                negatives=(by_label[self.contradiction],),
                instruction=self.instruction,
                symmetric=self.symmetric,
            )
            for premise, by_label in whole.items()
        ]
        hypotheses = [text for by_label in whole.values() for text in by_label.values()]
        return TrainSet(examples=tuple(made), texts=distinct([*found, *hypotheses]))


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class Titles(TrainData):
    """`id`, `title`, `text`: the title is a query, the text its document."""

    held_back: SkipValidation[Rows | None] = None
    """Rows that each name a `document` by id; those are left out, so that nothing a task is judged on is trained on."""

    def load(self) -> TrainSet:
        judged = {row.text("document") for row in self.held_back.rows()} if self.held_back else set[str]()
        rows = [row for row in self.source.rows() if row.text("id") not in judged and str(row.value("title") or "").strip()]
        return self._pairs([(row.text("title"), row.text("text")) for row in rows])


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class Questions(TrainData):
    """Questions and the paragraphs that they were asked about, in SQuAD's form."""

    articles: Articles = "first"
    """Which half to train on, so that the other half can be used to judge."""

    def load(self) -> TrainSet:
        paragraphs = [one for row in half(self.source.rows(), self.articles) for one in row.value("paragraphs") or ()]
        return self._pairs([(question["question"], one["context"]) for one in paragraphs for question in one["qas"]])


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class Triples(TrainData):
    """`query` (or `anchor`) and `positive`; optionally `negative` (a text or a list), `scores` and `instruction`."""

    ignore: tuple[str, ...] = Field(default=())
    """Columns that are not used for training."""

    def load(self) -> TrainSet:
        rows = self.source.rows()
        examples = tuple(self._example(row) for row in rows)
        counts = {len(example.negatives) for example in examples}
        if len(counts) > 1:
            raise UserError(f"{self.source.place}: rows have {min(counts)} to {max(counts)} negatives: give all the same number")
        return TrainSet(examples=examples, texts=_all_texts(examples))

    def _example(self, row: Any) -> Example:
        known = {"query", "anchor", "positive", "negative", "scores", "instruction"}
        if unknown := sorted(set(row.row) - known - set(self.ignore)):
            raise UserError(
                f"{row.where}: unknown columns {', '.join(unknown)}: allowed are {', '.join(sorted(known))}; "
                f"leave others out by ignore=[{','.join(unknown)}]"
            )
        anchor = "query" if "query" in row.row else "anchor"
        if missing := [name for name in (anchor, "positive") if name not in row.row]:
            raise UserError(f"{row.where}: needs query (or anchor) and positive, has no {missing[0]}: got {sorted(row.row)}")
        negatives = _texts(row, "negative")
        return Example(
            anchor=row.text(anchor),
            positive=row.text("positive"),
            negatives=negatives,
            scores=_scores(row, 1 + len(negatives)),
            instruction=str(row.value("instruction") or self.instruction),
            symmetric=self.symmetric,
        )


def _texts(row: Any, name: str) -> tuple[str, ...]:
    value = row.value(name)
    if value is None:
        return ()
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) and text.strip() for text in texts):
        row.reject(name, f"must be a text or a list of texts, got {value!r}")
    return tuple(text.strip() for text in texts)


def _scores(row: Any, count: int) -> tuple[float, ...]:
    value = row.value("scores")
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) != count or not all(map(_is_score, value)):
        row.reject("scores", f"must be {count} finite numbers, for the positive and each negative, got {value!r}")
    return tuple(float(one) for one in value)


def _is_score(value: Any) -> bool:
    """Whether a value is a finite number: a loss of NaN or infinity would make every weight NaN."""
    return isinstance(value, int | float) and math.isfinite(value)


def _all_texts(examples: Sequence[Example]) -> tuple[str, ...]:
    return distinct(text for one in examples for text in (one.anchor, one.positive, *one.negatives))
