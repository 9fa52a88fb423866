"""Training examples: texts that belong together, and texts that do not.

{"query": "who wrote Emma?", "positive": "Jane Austen wrote Emma.", "negative": "Emma is a town in Ohio."}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
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
    source: str = ""
    """The training set that it comes from, if there are several: batches do not mix them."""
    wrong: bool = False
    """Whether a noise generator planted this positive. Training ignores it; a filter is judged by it."""

    @property
    def other_role(self) -> Role:
        return "query" if self.symmetric else "document"


@dataclass(frozen=True, kw_only=True)
class TrainSet:
    """What a recipe trains on."""

    examples: tuple[Example, ...]
    texts: tuple[str, ...]
    """All distinct texts, for stages that need no pairs, including those of pairs that are not positives."""
    documents: tuple[str, ...] = ()
    """Documents that belong to no pair; a filter searches these too."""

    def content(self) -> list[Any]:
        """The contents for a hash; a single set keeps the hash that it had before several were possible."""
        others = [list(self.documents)] if self.documents else []
        return [[_said(example) for example in self.examples], list(self.texts), *others]


def joined(sets: Mapping[str, TrainSet]) -> TrainSet:
    """Several sets, by name, as one. Raises `UserError` if there are no examples."""
    several = len(sets) > 1
    examples = tuple(
        replace(example, source=name) if several else example for name, one in sets.items() for example in one.examples
    )
    if not examples:
        raise UserError("no training data: choose train_data=NAME or train_data=[...] with names from conf/train_data")
    texts, documents = ([text for one in sets.values() for text in getattr(one, name)] for name in ("texts", "documents"))
    return TrainSet(examples=examples, texts=distinct(texts), documents=distinct(documents))


def by_source(examples: Iterable[Example]) -> dict[str, list[Example]]:
    """The examples of each training set, in order."""
    found: dict[str, list[Example]] = {}
    for one in examples:
        found.setdefault(one.source, []).append(one)
    return found


def _said(example: Example) -> dict[str, Any]:
    return {name: value for name, value in asdict(example).items() if value or name not in ("source", "wrong")}


def distinct(texts: Iterable[str]) -> tuple[str, ...]:
    """The texts without repeats, in order of first occurrence."""
    return tuple(dict.fromkeys(texts))


def write_examples(path: Path, examples: Sequence[Example]) -> None:
    write_text(path, "".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in examples))


def read_examples(path: Path) -> list[Example]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [Example(**row | {"negatives": tuple(row["negatives"]), "scores": tuple(row["scores"])}) for row in rows]
