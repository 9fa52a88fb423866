"""mteb's evaluators judge embedders on tasks; encoders and lexical baselines share one table.

Each score is journalled as soon as it is known, under a key of everything that determines it. So a killed evaluation
resumes where it stopped, and further embedders or tasks only add to the table.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fmtbench.embed.candidates import keeping, lacking
from fmtbench.embed.embedder import EmbedBackend
from fmtbench.embed.head_rows import HeadRow
from fmtbench.embed.lexical import Lexical
from fmtbench.embed.mteb_files import model_meta, save_result
from fmtbench.embed.mteb_model import MtebEncoder
from fmtbench.embed.scores import COUNTS, METRICS, Score, append_score, read_scores

logger = logging.getLogger(__name__)

ENCODE = {"batch_size": 32, "show_progress_bar": False}
"""What mteb passes to `encode`. Our batches are made by tokens, whatever this says."""


def evaluate(
    embedders: Mapping[str, Any],
    tasks: Mapping[str, Any],
    backend: EmbedBackend,
    journal: Path,
    files: Path | None = None,
    candidates: Path | None = None,
) -> list[Score]:
    """Score every embedder on every task (loaded mteb tasks), in this order. Scores in the journal are not computed again.

    `files` is a folder for mteb's own results, with all of its metrics; `candidates` is one for the documents that searches find,
    for `rerank`.
    """
    done = {score.key: score for score in read_scores(journal)}
    found = []
    for name, embedder in embedders.items():
        who = _who(embedder, backend)
        keys = {task: _key(who, data) for task, data in tasks.items()}
        missing = {task: tasks[task] for task, key in keys.items() if key not in done or lacking(candidates, key, tasks[task])}
        with _models(name, embedder, backend, bool(missing)) as model_for:
            for task, data in missing.items():
                with keeping(candidates, keys[task], data) as kept:
                    score, result = judge(keys[task], name, task, data, model_for(data), kept)
                if score.key in done:
                    continue
                if files and result is not None:
                    identity = hashlib.sha256(json.dumps(who, default=str).encode()).hexdigest()
                    save_result(files, result, model_meta(name, identity, _published(embedder)), identity, ENCODE)
                append_score(journal, score)
                done[score.key] = score
        found += [
            replace(done[keys[task]], embedder=name, task=task) for task in tasks
        ]  # the journal may have other names for them
    return found


@contextmanager
def _models(name: str, embedder: Any, backend: EmbedBackend, needed: bool) -> Iterator[Any]:
    """A function from a task to a model in mteb's protocols. Weights are loaded only if a score is missing."""
    if isinstance(embedder, Lexical) or not needed:
        yield lambda task: embedder.model(task)
        return
    with backend.open(embedder) as opened:
        own = embedder.model if isinstance(embedder, HeadRow) else MtebEncoder
        yield lambda task: own(opened, name, task)


def judge(key: str, name: str, task: str, data: Any, model: Any | None, kept: Path | None = None) -> tuple[Score, Any]:
    """The score, and mteb's own result, which is None if the embedder does not apply.

    `kept` is a folder for what the model finds on a search task.
    """
    import mteb

    metric = data.metadata.main_score
    if model is None:
        return Score(key=key, embedder=name, task=task, metric=metric, score=None), None
    started = time.monotonic()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*ill-defined.*")  # secondary scores, if a small test set lacks a label
        found = mteb.evaluate(
            model,
            data,
            cache=None,
            co2_tracker=False,
            show_progress_bar=False,
            encode_kwargs=dict(ENCODE),
            prediction_folder=kept,
        )
    (result,) = found.task_results
    # Rows that share an index each include its cost, whichever of them built it.
    value, seconds = float(result.get_score()), round(time.monotonic() - started + getattr(model, "spared", 0.0), 2)
    logger.info("%s on %s: %s %.4f (%.0f s)", name, task, METRICS.get(metric, metric), value, seconds)
    measured: dict[str, Any] = {count: getattr(model, count, 0) for count in COUNTS}
    measured |= {name: getattr(model, name, None) for name in ("query_seconds", "document_bytes")}
    measured |= {"seconds": seconds, "subsets": _subsets(result)}
    return Score(key=key, embedder=name, task=task, metric=metric, score=value, **measured), result


def _subsets(result: Any) -> dict[str, float]:
    several = len(result.scores) > 1
    found = {
        f"{split}/{one['hf_subset']}" if several else str(one["hf_subset"]): float(one["main_score"])
        for split, scores in result.scores.items()
        for one in scores
    }
    return found if len(found) > 1 else {}


def _published(embedder: Any) -> tuple[str, str] | None:
    """Hub id and commit of an encoder from the hub; None for any other embedder."""
    return None if isinstance(embedder, Lexical) else embedder.published()


def _who(embedder: Any, backend: EmbedBackend) -> Any:
    return embedder.facts() if isinstance(embedder, Lexical) else [embedder.identity(), backend.score_key]


def _key(who: Any, task: Any) -> str:
    about = task.metadata
    what = [about.name, about.main_score, about.prompt, _content(task), list(task.hf_subsets), list(task.eval_splits)]
    return hashlib.sha256(json.dumps([who, what, version("mteb")], sort_keys=True, default=str).encode()).hexdigest()


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
