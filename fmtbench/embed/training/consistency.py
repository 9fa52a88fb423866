"""E5's consistency filter (Wang et al. 2022, arXiv 2212.03533): an encoder trained on noisy pairs judges these pairs.

A pair stays if its document is among the `k` nearest to its query in a pool of random documents. `filter.csv` gives for each k
the share that the filter keeps, and that TF-IDF would keep in the encoder's place; if the data say which pairs are wrong
(`training/noise.py`), also the share of right pairs among the kept (precision) and the share of right pairs that are kept
(recall).
"""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.embed.lexical import TfIdf
from fmtbench.embed.training.examples import Example, by_source, distinct, read_examples, write_examples
from fmtbench.embed.training.mine import EXAMPLES, Finder
from fmtbench.embed.training.ranks import as_sparse, filtered, ranks
from fmtbench.embed.training.stage import Stage
from fmtbench.embed.training.work import Supply, Work
from fmtbench.errors import UserError
from fmtbench.store.csv_text import csv_text
from fmtbench.store.files import write_text

logger = logging.getLogger(__name__)

DROPPED = "dropped.jsonl"
TABLE = "filter.csv"
STEPS = (1, 2, 3, 5, 10, 20)
"""The values of k in the table, besides the stage's own."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Consistency(Stage):
    """Passes the kept pairs on to the next stage; `dropped.jsonl` has the others."""

    k: int = Field(default=2, gt=0)
    pool: int | None = Field(default=10_000, gt=1)
    """How many random documents of the training set a pair's document competes with; null takes all. The paper has a million."""
    restart: bool = False
    """Drop the adapter that the filter was trained with: the next stage starts from the backbone, as in the paper."""

    def check(self, supply: Supply, name: str) -> Supply:
        if (smallest := min(supply.smallest, self.pool or supply.smallest)) <= self.k:
            raise UserError(f"{name}: the {self.k} nearest of {smallest} documents are all of them: lower k")
        if self.restart and not supply.adapter:
            raise UserError(f"{name}: restart=true drops an adapter, and there is none: put it after a stage with lora")
        return replace(supply, adapter=supply.adapter and not self.restart)

    def run(self, work: Work) -> dict[str, Any]:
        examples, ranked = list[Example](), {"encoder": list[int](), "tfidf": list[int]()}
        for its in by_source(work.data.examples).values():
            examples += its
            for name, found in self._ranks(work, its).items():
                ranked[name] += found
        kept = [one for one, rank in zip(examples, ranked["encoder"]) if rank < self.k]
        if not kept:
            raise UserError(f"{work.folder.name}: no pair has its document among the {self.k} nearest: raise k, or train longer")
        write_examples(work.folder / DROPPED, [one for one, rank in zip(examples, ranked["encoder"]) if rank >= self.k])
        write_examples(work.folder / EXAMPLES, kept)
        facts = self._judged(work, [one.wrong for one in examples], ranked)
        self._hand_on(work, kept)
        return {"examples": len(kept), "left_out": len(examples) - len(kept), **facts}

    def restore(self, work: Work) -> None:
        self._hand_on(work, read_examples(work.folder / EXAMPLES))

    def _hand_on(self, work: Work, kept: list[Example]) -> None:
        work.take(kept)
        if self.restart and work.adapter is not None:
            work.adapter.unload()
            work.adapter = None

    def _ranks(self, work: Work, examples: list[Example]) -> dict[str, list[int]]:
        """The rank of each example's document in the same pool, by the encoder and by TF-IDF; for one training set."""
        import torch

        own = [one.positive for one in examples]
        pool, most = list(distinct([*own, *work.data.documents])), max(self.k, *STEPS)
        if self.pool is not None and self.pool < len(pool):
            pool = random.Random(work.seed).sample(pool, self.pool)
        finder, words = Finder(work, examples), TfIdf().vectorizer().fit(pool)
        queries = [one.anchor for one in examples]
        dense = [finder.encode_query(queries), finder.encode_document(own), finder.encode_document(pool)]
        vectors = {
            "encoder": [torch.from_numpy(one) for one in dense],
            "tfidf": [as_sparse(words.transform(texts)) for texts in (queries, own, pool)],
        }
        return {name: ranks(one, other, among, own, pool, most) for name, (one, other, among) in vectors.items()}

    def _judged(self, work: Work, wrong: list[bool], ranked: Mapping[str, list[int]]) -> dict[str, Any]:
        """Write the table; log its lines for this k and return them for the manifest."""
        import pandas as pd

        lines: list[dict[str, Any]] = [
            {"k": k, "filter": name, **filtered(found, wrong, k)}
            for k in sorted({*STEPS, self.k})
            for name, found in ranked.items()
        ]
        write_text(work.folder / TABLE, csv_text(pd.DataFrame(lines)))
        own = {line["filter"]: line for line in lines if line["k"] == self.k}
        said = "; ".join(f"{name} {_said(line)}" for name, line in own.items())
        logger.info("%s: of %d pairs, k=%d keeps by %s", work.folder.name, len(wrong), self.k, said)
        return {name: {key: line[key] for key in ("kept", "precision", "recall")} for name, line in own.items()}


def _said(line: Mapping[str, Any]) -> str:
    shown = [f"{key} {line[key]:.2f}" for key in ("precision", "recall") if line[key] is not None]
    return f"{line['kept']:.0%}" + (f" ({', '.join(shown)})" if shown else "")
