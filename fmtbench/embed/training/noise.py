"""Training pairs of which a known share is wrong, to judge a filter by.

Random wrong documents are no test: shared words are enough to find them. A hard wrong document is the right one's nearest
neighbour by TF-IDF, with much the same topic. The right documents stay among those that a filter searches.
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
"""How many nearest documents are searched for one that does not belong to the query."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class Noisy:
    """A training set with wrong positives; `Example.wrong` records which."""

    data: SkipValidation[TrainData]
    noise: float = Field(default=0.3, gt=0, lt=1)
    """The share of pairs that get another query's document."""
    hard: bool = True
    """Whether that document is the right one's nearest neighbour; false draws it at random."""
    seed: int = 0

    def load(self) -> TrainSet:
        """Read the rows and plant the noise. Raises `UserError` for a mistake in them, or if a query has no other document."""
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
        """For each chosen example, document indices in order of preference."""
        if not self.hard:
            draws = random.Random(self.seed + 1)
            return (draws.sample(range(len(documents)), min(NEIGHBOURS, len(documents))) for _ in chosen)
        vectorizer = TfIdf().vectorizer()
        matrix = vectorizer.fit_transform(documents)
        rows = (matrix @ vectorizer.transform([one.positive]).T for one in chosen)
        return (np.argsort(-row.toarray()[:, 0], kind="stable")[:NEIGHBOURS].tolist() for row in rows)
