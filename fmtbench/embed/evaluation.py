"""mteb's evaluators judge embedders on tasks; encoders and lexical baselines share one table.

Each score goes into the journal as soon as it is known, under a key of everything that determines it. So a killed evaluation
continues where it was, and more embedders or tasks only add to the table.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from fmtbench.embed.embedder import EmbedBackend
from fmtbench.embed.lexical import Lexical
from fmtbench.embed.mteb_model import MtebEncoder
from fmtbench.errors import UserError
from fmtbench.store.files import append_to, write_text

logger = logging.getLogger(__name__)

METRICS = {"cosine_spearman": "Spearman", "ndcg_at_10": "nDCG@10", "accuracy": "accuracy"}


@dataclass(frozen=True, kw_only=True)
class Score:
    """One embedder on one task."""

    key: str
    """sha256 of everything that determines the score."""
    embedder: str
    task: str
    metric: str
    score: float | None
    """mteb's main score, 0..1 (correlations -1..1); None where the embedder does not apply."""
    texts: int = 0
    tokens: int = 0
    cut: int = 0
    """Texts that were longer than the context."""
    seconds: float = 0.0


def evaluate(embedders: Mapping[str, Any], tasks: Mapping[str, Any], backend: EmbedBackend, journal: Path) -> list[Score]:
    """Score every embedder on every task (loaded mteb tasks), in this order. What is in the journal is not run again."""
    done = {score.key: score for score in read_scores(journal)}
    found = []
    for name, embedder in embedders.items():
        keys = {task: _key(embedder, backend, data) for task, data in tasks.items()}
        missing = {task: tasks[task] for task, key in keys.items() if key not in done}
        with _models(name, embedder, backend, bool(missing)) as model_for:
            for task, data in missing.items():
                score = _judge(keys[task], name, task, data, model_for(data))
                _append(journal, score)
                done[score.key] = score
        found += [replace(done[keys[task]], embedder=name) for task in tasks]  # the journal may have it under another name
    return found


@contextmanager
def _models(name: str, embedder: Any, backend: EmbedBackend, needed: bool) -> Iterator[Any]:
    """A function from a task to a model in mteb's protocols. Weights are loaded only if a score is missing."""
    if isinstance(embedder, Lexical) or not needed:
        yield lambda task: embedder.model(task)
        return
    with backend.open(embedder) as opened:
        yield lambda task: MtebEncoder(opened, name, task)


def _judge(key: str, name: str, task: str, data: Any, model: Any | None) -> Score:
    import mteb

    metric = data.metadata.main_score
    if model is None:
        return Score(key=key, embedder=name, task=task, metric=metric, score=None)
    started = time.monotonic()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*ill-defined.*")  # secondary scores, where few test texts lack some label
        result = mteb.evaluate(model, data, cache=None, co2_tracker=False, show_progress_bar=False)
    value = float(result.task_results[0].get_score())
    seconds = round(time.monotonic() - started, 2)
    logger.info("%s on %s: %s %.4f (%.0f s)", name, task, METRICS.get(metric, metric), value, seconds)
    counts = {count: getattr(model, count, 0) for count in ("texts", "tokens", "cut")}
    return Score(key=key, embedder=name, task=task, metric=metric, score=value, seconds=seconds, **counts)


def _key(embedder: Any, backend: EmbedBackend, task: Any) -> str:
    who = embedder.facts() if isinstance(embedder, Lexical) else [embedder.identity(), backend.score_key]
    what = [task.metadata.name, task.metadata.main_score, task.metadata.prompt, _content(task)]
    return hashlib.sha256(json.dumps([who, what], sort_keys=True, default=str).encode()).hexdigest()


def _content(task: Any) -> str:
    """A hash of a local task's data; for a task from the hub, its revision."""
    if task.metadata.dataset["revision"] != "local":
        return str(task.metadata.dataset)
    data = task.dataset.get("default", {}).get("test") if "default" in task.dataset else task.dataset
    total = hashlib.sha256()
    for name, part in sorted(data.items()):
        rows = part.to_list() if hasattr(part, "to_list") else part
        total.update(json.dumps([name, rows], sort_keys=True, ensure_ascii=False).encode())
    return total.hexdigest()


# -- the journal


def _append(journal: Path, score: Score) -> None:
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


# -- the table


def table(scores: list[Score]) -> list[dict[str, str]]:
    """One line for each embedder, one column for each task: main scores x 100, empty where there is none."""
    lines: dict[str, dict[str, str]] = {}
    for score in scores:
        shown = "" if score.score is None else f"{100 * score.score:.1f}"
        column = f"{score.task} ({METRICS.get(score.metric, score.metric)})"
        lines.setdefault(score.embedder, {"embedder": score.embedder})[column] = shown
    return list(lines.values())


def gains(scores: list[Score], reference: str) -> list[str]:
    """For each task, how far the other embedders are above the reference: mean, minimum and maximum."""
    known = [(one.embedder, one.task, 100 * one.score) for one in scores if one.score is not None]
    lines = []
    for task, before in [(task, score) for embedder, task, score in known if embedder == reference]:
        others = [score - before for embedder, other, score in known if other == task and embedder != reference]
        spread = f" ({min(others):+.1f} to {max(others):+.1f})" if len(others) > 1 else ""
        lines.append(f"{task}: {sum(others) / len(others):+.1f}{spread} over {reference}, {len(others)} seeds")
    return lines
