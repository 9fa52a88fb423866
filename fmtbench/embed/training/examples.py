"""Training examples: texts that belong together, and texts that do not.

{"query": "who wrote Emma?", "positive": "Jane Austen wrote Emma.", "negative": "Emma is a town in Ohio."}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fmtbench.embed.templates import Role
from fmtbench.errors import UserError
from fmtbench.store.files import write_text


@dataclass(frozen=True, kw_only=True)
class Example:
    """A text, one that belongs to it, and any number that do not."""

    anchor: str
    positive: str
    negatives: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    """A teacher's scores of the positive and of each negative; empty without a teacher."""
    instruction: str = ""
    symmetric: bool = False
    """Every text is a query, as in similarity; otherwise positives and negatives are documents."""

    @property
    def other_role(self) -> Role:
        return "query" if self.symmetric else "document"


@dataclass(frozen=True, kw_only=True)
class TrainSet:
    """What a recipe trains on."""

    examples: tuple[Example, ...]
    texts: tuple[str, ...]
    """All distinct texts, for stages that need no pairs; pairs that are no positives count too."""

    def content(self) -> list[Any]:
        """For a hash."""
        return [[asdict(example) for example in self.examples], list(self.texts)]


def joined(sets: Iterable[TrainSet]) -> TrainSet:
    """Several sets as one. Raises `UserError` where their numbers of negatives differ, or where there are no examples."""
    sets = list(sets)
    examples = tuple(example for one in sets for example in one.examples)
    counts = sorted({len(example.negatives) for example in examples})
    if len(counts) > 1:
        raise UserError(f"the training sets have {counts[0]} and {counts[-1]} negatives a row: train on one after the other")
    if not examples:
        raise UserError("no training data: choose train_data=NAME or train_data=[...] with names from conf/train_data")
    return TrainSet(examples=examples, texts=distinct(text for one in sets for text in one.texts))


def distinct(texts: Iterable[str]) -> tuple[str, ...]:
    """Without repeats, in the order of their first occurrence."""
    return tuple(dict.fromkeys(texts))


def write_examples(path: Path, examples: Sequence[Example]) -> None:
    write_text(path, "".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in examples))


def read_examples(path: Path) -> list[Example]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [Example(**row | {"negatives": tuple(row["negatives"]), "scores": tuple(row["scores"])}) for row in rows]
