"""Pairs of which a known share is wrong: what a filter is judged by.

Wrong at random is no test, since shared words tell such pairs apart. A hard wrong document is the right one's nearest neighbour
by TF-IDF, which is about much the same. The right documents stay among those that a filter searches.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from pydantic import ConfigDict, Field, SkipValidation
from pydantic.dataclasses import dataclass

from fmtbench.embed.lexical import TfIdf
from fmtbench.embed.training.data import TrainData
from fmtbench.embed.training.examples import Example, TrainSet, distinct
from fmtbench.errors import UserError

NEIGHBOURS = 20
"""Nearest documents that are looked at for one that does not belong to the query."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class Noisy:
    """A training set with wrong positives; `Example.wrong` is the truth."""

    data: SkipValidation[TrainData]
    noise: float = Field(default=0.3, gt=0, lt=1)
    """Share of the pairs whose document is another query's."""
    hard: bool = True
    """That document is the right one's nearest neighbour; false draws it at random."""
    seed: int = 0

    def load(self) -> TrainSet:
        """Raises `UserError` for a mistake in the rows, and where no other document is left for a query."""
        found = self.data.load()
        chosen = random.Random(self.seed).sample(range(len(found.examples)), round(self.noise * len(found.examples)))
        examples = list(found.examples)
        for number, document in zip(chosen, self._others(found.examples, chosen)):
            examples[number] = replace(examples[number], positive=document, wrong=True)
        right = distinct(found.examples[number].positive for number in sorted(chosen))
        return replace(found, examples=tuple(examples), documents=right)

    def _others(self, examples: Sequence[Example], chosen: Sequence[int]) -> Iterator[str]:
        """For each chosen example, a document that belongs to another query."""
        right: dict[str, set[str]] = {}
        for one in examples:
            right.setdefault(one.anchor, set()).add(one.positive)
        documents = distinct(one.positive for one in examples)
        for number, order in zip(chosen, self._orders(documents, [examples[number] for number in chosen])):
            other = next((documents[i] for i in order if documents[i] not in right[examples[number].anchor]), None)
            if other is None:
                raise UserError(f"noise={self.noise}: there is no document that does not belong to {examples[number].anchor!r}")
            yield other

    def _orders(self, documents: Sequence[str], chosen: Sequence[Example]) -> Iterator[Sequence[int]]:
        """For each, numbers of documents, those to take first in front."""
        if not self.hard:
            draws = random.Random(self.seed + 1)
            return (draws.sample(range(len(documents)), min(NEIGHBOURS, len(documents))) for _ in chosen)
        vectorizer = TfIdf().vectorizer()
        matrix = vectorizer.fit_transform(documents)
        rows = (matrix @ vectorizer.transform([one.positive]).T for one in chosen)
        return (np.argsort(-row.toarray()[:, 0], kind="stable")[:NEIGHBOURS].tolist() for row in rows)
