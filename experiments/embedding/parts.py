"""Builds embed backend, tasks, reranker and training data from a composed config; writes the table of scores."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from fmtbench.errors import UserError

from ..starting.build import build, build_group


def build_embed_backend(config: DictConfig) -> Any:
    """The embed backend. Call it late: it imports torch. It also silences the libraries' progress bars; ours suffices."""
    from datasets.utils.logging import disable_progress_bar
    from transformers.utils import logging as transformers_logging

    for chatty in ("sentence_transformers", "mteb", "bm25s"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    disable_progress_bar()
    transformers_logging.disable_progress_bar()
    return build(config.embed_backend, "embed_backend")


def checked_reranker(config: DictConfig) -> Any:
    """The reranker, checked as far as possible before weights are loaded; None without one. Raises `UserError`."""
    reranker = build(config.reranker, "reranker") if config.reranker else None
    if reranker:
        reranker.check()
    return reranker


def embed_tasks(config: DictConfig) -> dict[str, Any]:
    """The loaded mteb tasks, by column name. Raises `UserError`, also if two options give a task of the same name."""
    found = dict[str, Any]()
    for name, option in build_group(config.embed_task).items():
        for column, task in option.tasks(name, config.limit).items():
            if column in found:
                raise UserError(f"embed_task= has two tasks of the name {column}: give one of them")
            found[column] = task
    return found


def write_table(scores: list[Any], output: Path) -> None:
    import pandas as pd

    from fmtbench.analysis.showing.markdown import to_markdown
    from fmtbench.embed.scores import COUNTS, lines, table
    from fmtbench.store.csv_text import csv_text
    from fmtbench.store.files import write_text

    write_text(output / "table.csv", csv_text(pd.DataFrame(list(lines(scores))).astype(dict.fromkeys(COUNTS, "Int64"))))
    text = to_markdown(pd.DataFrame(table(scores)))
    write_text(output / "table.md", text)
    print(text, end="")


def load_data(config: DictConfig) -> Any:
    from fmtbench.embed.training.examples import joined

    return joined({name: data.load() for name, data in build_group(config.train_data).items()})
