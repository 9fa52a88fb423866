"""Hard negatives: what the encoder, as trained so far, finds near but does not belong.

Positives that nobody marked are among the nearest. A margin keeps them out: `relative_margin=0.05` takes only what is at
least 5% less similar than the positive (NV-Retriever, arXiv 2407.15831).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.embed.templates import Role
from fmtbench.embed.tokens import tokenise_each
from fmtbench.embed.training.data import Example
from fmtbench.embed.training.stage import Stage, Supply, Work, read_examples, write_examples
from fmtbench.errors import UserError

logger = logging.getLogger(__name__)

EXAMPLES = "examples.jsonl"


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Mine(Stage):
    """Put so many hard negatives to every example, in place of those it has.

    Repeats, and examples that find fewer, are left out.
    """

    negatives: int = Field(default=1, gt=0)
    relative_margin: float | None = Field(default=0.05, ge=0)
    absolute_margin: float | None = Field(default=None, ge=0)
    skip: int = Field(default=0, ge=0)
    """So many of the nearest are never taken."""

    def check(self, supply: Supply, name: str) -> Supply:
        if supply.examples <= self.negatives + self.skip:
            raise UserError(f"{name}: {supply.examples} examples are too few to find {self.negatives} negatives for each")
        return replace(supply, negatives=self.negatives, scores=False)

    def run(self, work: Work) -> dict[str, Any]:
        mined = mine(Finder(work), work.data.examples, self)
        if not mined:
            raise UserError(f"{work.folder.name}: no example has {self.negatives} negatives within the margins: lower them")
        write_examples(work.folder / EXAMPLES, mined)
        before = len(work.data.examples)
        if len(mined) < before:
            logger.info("%s: %d of %d examples stay; others are repeats or find too little", work.folder.name, len(mined), before)
        work.take(mined)
        return {"examples": len(mined), "left_out": before - len(mined)}

    def restore(self, work: Work) -> None:
        work.take(read_examples(work.folder / EXAMPLES))


class Finder:
    """The encoder as sentence-transformers' miner wants it, with our templates on both sides."""

    def __init__(self, work: Work) -> None:
        from fmtbench.embed.st import STEmbedder, STEngine

        self.embedder, self.device = STEmbedder(work.loaded, STEngine()), "cpu"
        self.instructions = {text: one.instruction for one in work.data.examples for text in (one.positive, one.anchor)}
        self.role = work.data.examples[0].other_role

    def encode_query(self, texts: Sequence[str], **unused: Any) -> Any:
        return self._vectors(texts, "query")

    def encode_document(self, texts: Sequence[str], **unused: Any) -> Any:
        return self._vectors(texts, self.role)

    def _vectors(self, texts: Sequence[str], role: Role) -> Any:
        sought = [self.instructions[text] for text in texts]
        return self.embedder.vectors(
            tokenise_each(self.embedder.tokenizer, texts, self.embedder.recipe, [role] * len(texts), sought)
        )

    def similarity(self, one: Any, other: Any) -> Any:
        from sentence_transformers.util import dot_score

        return dot_score(one, other)

    def similarity_pairwise(self, one: Any, other: Any) -> Any:
        from sentence_transformers.util import pairwise_dot_score

        return pairwise_dot_score(one, other)


def mine(finder: Any, examples: Sequence[Example], settings: Mine) -> list[Example]:
    """sentence-transformers' miner over the positives of all examples."""
    from datasets import Dataset
    from sentence_transformers.util import mine_hard_negatives

    known = {(one.anchor, one.positive): one for one in examples}
    found = mine_hard_negatives(
        Dataset.from_list([{"anchor": anchor, "positive": positive} for anchor, positive in known]),
        finder,
        range_min=settings.skip,
        relative_margin=settings.relative_margin,
        absolute_margin=settings.absolute_margin,
        num_negatives=settings.negatives,
        output_format="n-tuple",
        verbose=False,
    )
    names = [f"negative_{number}" for number in range(1, settings.negatives + 1)]
    return [
        replace(known[row["anchor"], row["positive"]], negatives=tuple(row[name] for name in names), scores=())
        for row in found.rename_columns(dict(zip(found.column_names[2:], names)))
    ]
