"""Hard negatives: texts that the encoder, as trained so far, places near although they do not belong.

Some of the nearest are unmarked positives. A margin keeps them out: `relative_margin=0.05` takes only texts that are at least 5%
less similar than the positive (NV-Retriever, arXiv 2407.15831). A reranker, which reads query and text together, recognises more
of them than the encoder.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import ConfigDict, Field, SkipValidation
from pydantic.dataclasses import dataclass

from fmtbench.embed.pairs import TextPair
from fmtbench.embed.reranker import Reranker
from fmtbench.embed.templates import Role
from fmtbench.embed.tokens import tokenise_each
from fmtbench.embed.training.examples import Example, TrainSet, by_source, distinct, read_examples, write_examples
from fmtbench.embed.training.stage import Stage
from fmtbench.embed.training.work import Supply, Work
from fmtbench.errors import UserError

logger = logging.getLogger(__name__)

EXAMPLES = "examples.jsonl"


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class Mine(Stage):
    """Replaces the negatives of every example by mined ones.

    Repeated examples, and those for which it finds too few, are left out.
    """

    negatives: int = Field(default=1, gt=0)
    relative_margin: float | None = Field(default=0.05, ge=0)
    absolute_margin: float | None = Field(default=None, ge=0)
    skip: int = Field(default=0, ge=0)
    """Skip this many of the nearest."""
    corpus: Literal["positives", "data"] = "positives"
    """Where negatives come from: `positives` are those of the example's training set; `data` is all documents: the positives and
    negatives of every set, and documents of no pair, such as those that a filter has dropped."""
    reranker: SkipValidation[Reranker | None] = None
    """Rescores the nearest: order and margins then follow its scores, and nothing that it scores above the positive is taken."""

    def settings(self) -> dict[str, Any]:
        """The settings, with a hash of the reranker's weights: a folder's contents may change."""
        found = super().settings()
        if self.corpus == "positives":
            del found["corpus"]  # stage keys are older than this choice
        return found if self.reranker is None else found | {"reranker": self.reranker.identity()}

    def check(self, supply: Supply, name: str) -> Supply:
        if supply.smallest <= self.negatives + self.skip:
            raise UserError(f"{name}: {supply.smallest} examples are too few to find {self.negatives} negatives for each")
        if self.reranker is not None:
            self.reranker.check()
        return replace(supply, negatives=self.negatives, scores=False)

    def run(self, work: Work) -> dict[str, Any]:
        scorer = None if self.reranker is None else self.reranker.load()
        sets = by_source(work.data.examples).values()
        corpus = every_document(work.data) if self.corpus == "data" else None
        mined = [one for examples in sets for one in mine(Finder(work, examples), examples, self, scorer, corpus)]
        if not mined:
            raise UserError(f"{work.folder.name}: no example has {self.negatives} negatives within the margins: lower them")
        write_examples(work.folder / EXAMPLES, mined)
        before = len(work.data.examples)
        if len(mined) < before:
            logger.info(
                "%s: %d of %d examples stay; the others are repeats or have too few near texts",
                work.folder.name,
                len(mined),
                before,
            )
        work.take(mined)
        return {"examples": len(mined), "left_out": before - len(mined)}

    def restore(self, work: Work) -> None:
        work.take(read_examples(work.folder / EXAMPLES))


class Finder:
    """The encoder in the form that sentence-transformers' miner calls, for one training set; our templates on both sides."""

    def __init__(self, work: Work, examples: Sequence[Example]) -> None:
        from fmtbench.embed.st import STEmbedBackend, STEmbedder

        self.embedder, self.device = STEmbedder(work.loaded, STEmbedBackend()), "cpu"
        self.instructions = {text: one.instruction for one in examples for text in (one.positive, one.anchor)}
        self.role, self.instruction = examples[0].other_role, examples[0].instruction

    def encode_query(self, texts: Sequence[str], **unused: Any) -> Any:
        return self._vectors(texts, "query")

    def encode_document(self, texts: Sequence[str], **unused: Any) -> Any:
        return self._vectors(texts, self.role)

    def _vectors(self, texts: Sequence[str], role: Role) -> Any:
        instructions = [self.instructions.get(text, self.instruction) for text in texts]
        roles = [role] * len(texts)
        tokens = tokenise_each(self.embedder.tokenizer, texts, self.embedder.spec, roles, instructions)
        return self.embedder.vectors(tokens)

    def similarity(self, one: Any, other: Any) -> Any:
        from sentence_transformers.util import dot_score

        return dot_score(one, other)

    def similarity_pairwise(self, one: Any, other: Any) -> Any:
        from sentence_transformers.util import pairwise_dot_score

        return pairwise_dot_score(one, other)


class Judge:
    """A reranker in the form of a cross-encoder that sentence-transformers' miner calls, for one training set."""

    def __init__(self, scorer: Any, examples: Sequence[Example]) -> None:
        self.scorer = scorer
        self.instructions = {one.anchor: one.instruction for one in examples}

    def predict(self, pairs: Sequence[tuple[str, str]], **unused: Any) -> Any:
        from torch import from_numpy

        asked = [TextPair(query, document, self.instructions[query]) for query, document in pairs]
        return from_numpy(self.scorer.scores(asked).scores)


def every_document(data: TrainSet) -> list[str]:
    """The distinct documents of all training sets."""
    paired = (text for one in data.examples for text in (one.positive, *one.negatives))
    return list(distinct([*paired, *data.documents]))


def mine(
    finder: Any, examples: Sequence[Example], settings: Mine, scorer: Any = None, corpus: list[str] | None = None
) -> list[Example]:
    """Run sentence-transformers' miner over the positives of all examples, and `corpus`; `scorer` is a loaded reranker."""
    from datasets import Dataset
    from sentence_transformers.util import mine_hard_negatives

    known = {(one.anchor, one.positive): one for one in examples}
    unbounded = settings.absolute_margin is settings.relative_margin is None
    found = mine_hard_negatives(
        Dataset.from_list([{"anchor": anchor, "positive": positive} for anchor, positive in known]),
        finder,
        corpus=corpus,
        range_min=settings.skip,
        relative_margin=settings.relative_margin,
        absolute_margin=0.0 if scorer is not None and unbounded else settings.absolute_margin,
        cross_encoder=None if scorer is None else Judge(scorer, examples),
        num_negatives=settings.negatives,
        output_format="n-tuple",
        verbose=False,
    )
    names = [f"negative_{number}" for number in range(1, settings.negatives + 1)]
    return [
        replace(known[row["anchor"], row["positive"]], negatives=tuple(row[name] for name in names), scores=())
        for row in found.rename_columns(dict(zip(found.column_names[2:], names)))
    ]
