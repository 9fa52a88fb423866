"""Replies that the token limit cut off, run again with a larger one: what would they have been?

A cell `<condition>_rerun` has the truncated replies of its condition and nothing else: the same prompts, grammars and seeds,
more tokens. It has a folder and a journal of its own, so it is resumed like any other, and the decomposition replaces the
range of what truncation may have taken by what it took.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import yaml

from fmtbench.running.job import Cell, Job
from fmtbench.types import RERUN, Row

logger = logging.getLogger(__name__)


def rerun_of(job: Job, rows: Sequence[Row], times: int) -> Job | None:
    """The job that asks the truncated ones of its rows again with `times` the tokens; None where no reply was cut off."""
    cut: dict[tuple[str, ...], set[tuple[str, int]]] = defaultdict(set)
    for row in rows:
        if row.status == "truncated":
            cut[row.task, row.condition, row.prompt].add((row.item_id, row.sample))
    limit = times * job.sampling.max_tokens
    only = {
        _again(cell, limit): frozenset(asked)
        for cell in job.cells
        if (asked := cut.get((cell.task, cell.condition, cell.prompt)))
    }
    logger.info("%d truncated replies run again with %d tokens", sum(map(len, only.values())), limit)
    if not only:
        return None
    names = {cell.condition for cell in only}
    return replace(
        job,
        cells=list(only),
        only=only,
        conditions={name: job.conditions[name.removesuffix(RERUN)] for name in names},
        samples_of={name: job.samples(name.removesuffix(RERUN)) for name in names},
        sampling=replace(job.sampling, max_tokens=limit),
    )


def _again(cell: Cell, limit: int) -> Cell:
    name = cell.condition + RERUN
    return replace(cell, condition=name, config=_config(cell, name, limit) if cell.config else "")


def _config(cell: Cell, name: str, limit: int) -> str:
    """The cell's own config under its new name, from which it can be scored again."""
    config = yaml.safe_load(cell.config)
    config["condition"] = {name: config["condition"][cell.condition]}
    config["sampling"]["max_tokens"] = limit
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
