"""Reranking: a model that reads query and document together reorders what a first stage found.

mteb turns the first stage's candidates into a reranking task and judges that. A document that is not among them cannot come
back, so the first stage limits recall.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fmtbench.embed.candidates import is_search, keeping, place, reranking_task
from fmtbench.embed.evaluation import ENCODE, judge
from fmtbench.embed.mteb_files import model_meta, save_result
from fmtbench.embed.mteb_model import instruction_of, named, spoken
from fmtbench.embed.pairs import TextPair
from fmtbench.embed.reranker import Reranker
from fmtbench.embed.scores import Score, append_score, read_scores

if TYPE_CHECKING:
    from fmtbench.embed.pair_scores import PairScorer

logger = logging.getLogger(__name__)

CHUNK = 1024
"""How many pairs are in memory as tokens at a time; batches are sorted by length within these."""
QUIET_SECONDS = 20.0


def rerank(
    first: Sequence[Score],
    tasks: Mapping[str, Any],
    reranker: Reranker,
    count: int,
    journal: Path,
    candidates: Path,
    files: Path | None = None,
) -> list[Score]:
    """Scores of `embedder+reranker` for each of `first`: the best `count` of its stored `candidates` are reordered.

    Scores in the journal are not computed again. A task that is not a search has no score.
    """
    done, identity = {score.key: score for score in read_scores(journal)}, reranker.identity()
    keys = [hashlib.sha256(f"{one.key} {identity} {count}".encode()).hexdigest() for one in first]
    applies = [one.score is not None and is_search(tasks[one.task]) for one in first]
    missing = [(key, one) for key, one, does in zip(keys, first, applies) if does and key not in done]
    if missing:
        with closing(reranker.load()) as scorer:
            for key, one in missing:
                data = reranking_task(one.task, tasks[one.task], place(candidates, one.key), count)
                with keeping(candidates, key, data) as kept:
                    done[key] = _scored(key, f"{one.embedder}+{reranker.name}", one.task, data, scorer, files, kept)
                append_score(journal, done[key])
    return [_row(done.get(key), one, reranker.name) for key, one in zip(keys, first)]


def _scored(key: str, name: str, task: str, data: Any, scorer: PairScorer, files: Path | None, kept: Path | None) -> Score:
    score, result = judge(key, name, task, data, MtebReranker(scorer, name, data), kept)
    if files:
        save_result(files, result, model_meta(name, key, None), key, ENCODE)
    return score


def _row(found: Score | None, first: Score, name: str) -> Score:
    """The score under this table's names; the journal may have others."""
    row = found or Score(key="", embedder="", task="", metric=first.metric, score=None)
    return replace(row, embedder=f"{first.embedder}+{name}", task=first.task)


class MtebReranker:
    """A reranker on one task, in mteb's `CrossEncoderProtocol`. mteb's own wrapper has no instruction for a task."""

    def __init__(self, scorer: PairScorer, name: str, task: Any) -> None:
        self.scorer, self.instruction = scorer, instruction_of(task, "query")
        self.mteb_model_meta = named(name)
        self.texts = self.tokens = self.cut = 0
        self.seconds, self.queries = 0.0, set[str]()

    @property
    def query_seconds(self) -> float:
        return round(self.seconds / max(1, len(self.queries)), 4)

    def predict(self, inputs1: Any, inputs2: Any, **unused: Any) -> Any:
        """The scores of all pairs of two loaders, in order."""
        found, started, said = [np.zeros(0, np.float32)], time.monotonic(), time.monotonic()
        pairs = self._pairs(inputs1, inputs2)
        while some := list(islice(pairs, CHUNK)):
            found.append(self._scores(some))
            if time.monotonic() - said > QUIET_SECONDS:
                said, done, total = time.monotonic(), sum(map(len, found)), len(inputs1.dataset)
                pace = done / (said - started)
                logger.info("%d of %d pairs, %.0f a second, %.0f s left", done, total, pace, (total - done) / pace)
        return np.concatenate(found)

    def _pairs(self, queries: Any, documents: Any) -> Iterator[TextPair]:
        for one, other in zip(queries, documents, strict=True):
            for query, document in zip(one["text"], other["text"], strict=True):
                yield TextPair(spoken(query), spoken(document), self.instruction)

    def _scores(self, pairs: list[TextPair]) -> Any:
        started = time.monotonic()
        scored = self.scorer.scores(pairs)
        self.seconds += time.monotonic() - started
        self.queries |= {one.query for one in pairs}
        self.texts, self.tokens, self.cut = self.texts + len(pairs), self.tokens + scored.tokens, self.cut + scored.cut
        return scored.scores
