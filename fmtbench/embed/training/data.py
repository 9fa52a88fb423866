"""Training sets: texts that belong together, and texts that do not. Each YAML of `conf/train_data/` gives one class its rows.

    {"query": "who wrote Emma?", "positive": "Jane Austen wrote Emma.", "negative": "Emma is a town in Ohio."}

Rows come from `fmtbench.tasks.source.Source`, which reads the hub or a local file; here only the protocol `Rows` is known.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from dataclasses import dataclass as plain_dataclass
from typing import Any

from pydantic import ConfigDict, Field, SkipValidation
from pydantic.dataclasses import dataclass

from fmtbench.embed.tasks import Rows
from fmtbench.embed.templates import Role
from fmtbench.errors import UserError


@plain_dataclass(frozen=True, kw_only=True)
class Example:
    """One text, one that belongs to it, and any number that do not."""

    anchor: str
    positive: str
    negatives: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    """A teacher's scores of the positive and each negative; empty where there is none."""
    instruction: str = ""
    symmetric: bool = False
    """Every text is a query, as in similarity; else positives and negatives are documents."""

    @property
    def other_role(self) -> Role:
        return "query" if self.symmetric else "document"


@plain_dataclass(frozen=True, kw_only=True)
class TrainSet:
    """What a recipe is given."""

    examples: tuple[Example, ...]
    texts: tuple[str, ...]
    """All distinct texts, also of pairs that are no positives: for stages that need no pairs."""

    def content(self) -> list[Any]:
        """For a hash."""
        return [[asdict(example) for example in self.examples], list(self.texts)]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class TrainData(ABC):
    """A training set; nothing is read until `load`."""

    source: SkipValidation[Rows]
    instruction: str = ""
    """What is sought, for templates that ask for it."""
    symmetric: bool = False

    @abstractmethod
    def load(self) -> TrainSet:
        """Raises `UserError` for a mistake in its rows."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class ScoredPairs(TrainData):
    """`sentence1`, `sentence2`, `score`: pairs with at least the score `least` are positives."""

    least: float = 4.0

    def load(self) -> TrainSet:
        rows = [(row.text("sentence1"), row.text("sentence2"), self._score(row)) for row in self.source.rows()]
        kept = [(one, other) for one, other, score in rows if score >= self.least and one != other]
        if not kept:
            raise UserError(f"{self.source.place}: no pair has a score of at least {self.least}: lower least")
        made = [Example(anchor=a, positive=b, instruction=self.instruction, symmetric=self.symmetric) for a, b in kept]
        return TrainSet(examples=tuple(made), texts=_distinct(text for one, other, _ in rows for text in (one, other)))

    def _score(self, row: Any) -> float:
        try:
            return float(row.value("score"))
        except (TypeError, ValueError) as error:
            raise UserError(f"{row.where}: score must be a number, got {row.value('score')!r}") from error


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class Inference(TrainData):
    """`premise`, `hypothesis`, `label`: a premise, what it entails, what it contradicts (supervised SimCSE, arXiv 2104.08821)."""

    entailment: str = "entailment"
    contradiction: str = "contradiction"

    def load(self) -> TrainSet:
        found: dict[str, dict[str, str]] = {}
        for row in self.source.rows():
            found.setdefault(row.text("premise"), {}).setdefault(row.text("label"), row.text("hypothesis"))
        whole = [(one, said) for one, said in found.items() if {self.entailment, self.contradiction} <= said.keys()]
        if not whole:
            labels = sorted({label for said in found.values() for label in said})
            raise UserError(
                f"{self.source.place}: no premise has both '{self.entailment}' and '{self.contradiction}'; labels there: {labels}"
            )
        made = [
            Example(
                anchor=one,
                positive=said[self.entailment],
                negatives=(said[self.contradiction],),
                instruction=self.instruction,
                symmetric=self.symmetric,
            )
            for one, said in whole
        ]
        return TrainSet(examples=tuple(made), texts=_distinct([*found, *(text for _, said in whole for text in said.values())]))


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class Triples(TrainData):
    """`query` (or `anchor`), `positive`, and where there are any `negative` (a text or a list), `scores`, `instruction`."""

    ignore: tuple[str, ...] = Field(default=())
    """Columns that are there, but not for training."""

    def load(self) -> TrainSet:
        rows = self.source.rows()
        examples = tuple(self._example(row) for row in rows)
        counts = {len(example.negatives) for example in examples}
        if len(counts) > 1:
            raise UserError(f"{self.source.place}: rows have {min(counts)} to {max(counts)} negatives: give every row as many")
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


def joined(sets: Iterable[TrainSet]) -> TrainSet:
    """Several sets as one. Raises `UserError` where they differ in their number of negatives, or hold nothing."""
    sets = list(sets)
    examples = tuple(example for one in sets for example in one.examples)
    counts = sorted({len(example.negatives) for example in examples})
    if len(counts) > 1:
        raise UserError(f"the training sets have {counts[0]} and {counts[-1]} negatives a row: train on one after the other")
    if not examples:
        raise UserError("no training data: choose train_data=NAME or train_data=[...] with names from conf/train_data")
    return TrainSet(examples=examples, texts=_distinct(text for one in sets for text in one.texts))


def _texts(row: Any, name: str) -> tuple[str, ...]:
    value = row.value(name)
    if value is None:
        return ()
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) and text.strip() for text in texts):
        row.refuse(name, f"must be a text or a list of texts, got {value!r}")
    return tuple(text.strip() for text in texts)


def _scores(row: Any, count: int) -> tuple[float, ...]:
    value = row.value("scores")
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) != count or not all(isinstance(one, int | float) for one in value):
        row.refuse("scores", f"must be {count} numbers, for the positive and each negative, got {value!r}")
    return tuple(float(one) for one in value)


def _all_texts(examples: Sequence[Example]) -> tuple[str, ...]:
    return _distinct(text for one in examples for text in (one.anchor, one.positive, *one.negatives))


def _distinct(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
