"""What a first stage found, kept for rerankers in mteb's format: `candidates/<key of the score>/<Task>_predictions.json`.

It holds the 1000 best documents of each query with their scores, for each subset and split.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

from fmtbench.errors import UserError
from fmtbench.saving import unwritten

DEPTH = 1000
"""How many documents mteb's search tasks keep for each query."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def is_search(task: Any) -> bool:
    """Whether an mteb task ranks documents: retrieval, or reranking of candidates that come with the task."""
    return hasattr(task, "convert_to_reranking")


def place(folder: Path, key: str) -> Path:
    """Where the candidates behind the score with this key are."""
    return folder / key[:16]


def lacking(folder: Path | None, key: str, task: Any) -> bool:
    """Whether a first stage has to run although its score is known, because what it found was not kept."""
    return folder is not None and is_search(task) and not place(folder, key).is_dir()


@contextmanager
def keeping(folder: Path | None, key: str, task: Any) -> Iterator[Path | None]:
    """A folder for mteb's predictions, renamed into place once all are there; None if none are kept."""
    if folder is None or not is_search(task):
        yield None
        return
    folder.mkdir(parents=True, exist_ok=True)
    target = place(folder, key)
    part = Path(tempfile.mkdtemp(prefix=f"{target.name}.part-", dir=folder))
    try:
        yield part
        if any(part.iterdir()) and not target.is_dir():
            os.replace(part, target)
    except OSError as error:
        if error.errno not in FULL:  # from the model or its data, which run inside
            raise
        raise unwritten(target, error, "more bytes are needed than it takes") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check_candidates(tasks: Mapping[str, Any], count: int) -> None:
    """Raises `UserError` if no task is a search, a corpus has fewer documents, or a task names documents that it lacks."""
    searches = {name: task for name, task in tasks.items() if is_search(task)}
    if not searches:
        raise UserError(f"reranker= orders what a search finds, and {', '.join(tasks)} is none: add one, as embed_task=[scifact]")
    for name, task in searches.items():
        task.convert_v1_dataset_format_to_v2(num_proc=None)
        for data in _parts(task):
            if count > len(data["corpus"]):
                raise UserError(f"candidates={count} is above the corpus of {name}, {len(data['corpus'])} documents: lower it")
            _check_known(name, data)


def reranking_task(name: str, task: Any, folder: Path, count: int) -> Any:
    """A copy of a search task in which each query's candidates are the best `count` that a first stage found."""
    made = copy(task)
    splits = {subset: {split: dict(task.dataset[subset][split]) for split in task.eval_splits} for subset in task.hf_subsets}
    made.dataset = splits
    made = made.convert_to_reranking(folder, top_k=count)
    for data in _parts(made):
        _check_known(name, data)
    return made


def _parts(task: Any) -> Iterator[Any]:
    return (task.dataset[subset][split] for subset in task.hf_subsets for split in task.eval_splits)


def _check_known(name: str, data: Any) -> None:
    corpus = set(data["corpus"]["id"])
    for query, candidates in (data.get("top_ranked") or {}).items():
        if missing := [one for one in candidates if one not in corpus]:
            raise UserError(
                f"{name}, query {query}: {len(missing)} of its candidates are no documents of the corpus ({missing[0]}): "
                "the files do not belong together"
            )
