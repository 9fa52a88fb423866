"""Scores of embedders on tasks: the journal that keeps them, and the tables that show them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fmtbench.errors import UserError
from fmtbench.store.files import append_to, write_text

COUNTS = ("texts", "tokens", "cut")
METRICS = {"cosine_spearman": "Spearman", "ndcg_at_10": "nDCG@10", "map_at_1000": "MAP", "accuracy": "accuracy"}


@dataclass(frozen=True, kw_only=True)
class Score:
    """One embedder on one task."""

    key: str
    """sha256 of everything that determines the score."""
    embedder: str
    task: str
    metric: str
    score: float | None
    """mteb's main score, 0..1 (correlations -1..1); None if the embedder does not apply."""
    texts: int = 0
    """The number of texts, or of a reranker's pairs."""
    tokens: int = 0
    cut: int = 0
    """The number of texts that were longer than the context."""
    seconds: float = 0.0
    query_seconds: float | None = None
    """The seconds that a reranker takes for one query's candidates, without loading and the first stage; None without one."""
    document_bytes: float | None = None
    """The average bytes per document in the index; None on tasks other than search, and for rerankers."""
    subsets: dict[str, float] = field(default_factory=dict)
    """The main score of each subset, such as a pair of languages; with several splits, of `split/subset`. Empty if there is only
    one."""


# -- the journal


def append_score(journal: Path, score: Score) -> None:
    append_to(journal, (json.dumps(asdict(score)) + "\n").encode())


def read_scores(journal: Path) -> list[Score]:
    """The scores in the journal. A line that a kill cut off is dropped, so it is measured again."""
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True) if journal.is_file() else []
    if lines and not lines[-1].endswith("\n"):
        write_text(journal, "".join(lines[:-1]))
        lines = lines[:-1]
    try:
        return [Score(**json.loads(line)) for line in lines]
    except (ValueError, TypeError) as error:
        raise UserError(f"{journal} is damaged ({error}): delete it, and the scores are measured again") from error


# -- tables


def lines(scores: Sequence[Score]) -> Iterator[dict[str, Any]]:
    """The long table: one line per score (`subset` is empty), followed by one for each subset of its task."""
    for score in scores:
        whole = {name: value for name, value in asdict(score).items() if name not in ("key", "subsets")}
        first = {"embedder": score.embedder, "task": score.task, "subset": ""}
        yield first | {name: value for name, value in whole.items() if name not in first}
        for subset, value in score.subsets.items():
            yield dict.fromkeys({**first, **whole}) | first | {"subset": subset, "metric": score.metric, "score": value}


def table(scores: list[Score]) -> list[dict[str, str]]:
    """One line per embedder, one column per task: main scores x 100, empty where there is none.

    If there is a reranker, further columns give its seconds per query.
    """
    lines: dict[str, dict[str, str]] = {}
    for score in scores:
        shown = "" if score.score is None else f"{100 * score.score:.1f}"
        column = f"{score.task} ({METRICS.get(score.metric, score.metric)})"
        lines.setdefault(score.embedder, {"embedder": score.embedder})[column] = shown
    for score in scores:
        if score.query_seconds is not None:
            lines[score.embedder][f"{score.task} (s a query)"] = f"{score.query_seconds:.3f}"
    columns = dict.fromkeys(column for line in lines.values() for column in line)
    return [{column: line.get(column, "") for column in columns} for line in lines.values()]


def gains(scores: list[Score], reference: str) -> list[str]:
    """One line per task: how far the other embedders are above the reference, as mean, minimum and maximum."""
    known = [(one.embedder, one.task, 100 * one.score) for one in scores if one.score is not None]
    lines = []
    for task, before in [(task, score) for embedder, task, score in known if embedder == reference]:
        others = [score - before for embedder, other, score in known if other == task and embedder != reference]
        spread = f" ({min(others):+.1f} to {max(others):+.1f})" if len(others) > 1 else ""
        lines.append(f"{task}: {sum(others) / len(others):+.1f}{spread} over {reference}, {len(others)} seeds")
    return lines
