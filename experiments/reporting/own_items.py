"""What a run took for what in somebody's own data, and three of its items as the model is asked them."""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Iterator

from fmtbench.answers import Record
from fmtbench.decoding.records import ignored
from fmtbench.running.job import Cell, Job
from fmtbench.running.planning import select_items
from fmtbench.tasks.own_questions import OwnQuestions
from fmtbench.types import Item

SHOWN = 3

logger = logging.getLogger(__name__)


def announce(job: Job) -> None:
    """Write it to the log, once for each such task. Raises `UserError` for data that cannot be asked."""
    for name, task in job.tasks.items():
        cell = next((cell for cell in job.cells if cell.task == name), None)
        if isinstance(task, OwnQuestions) and cell:
            logger.info("%s", "\n".join(_lines(job, cell, task)))


def _lines(job: Job, cell: Cell, task: OwnQuestions) -> Iterator[str]:
    items = task.items()
    asked = select_items(cell.task, task, None, job.skip)[: job.most_items(cell.task)]
    which = f"{len(asked)} behind skip={job.skip}" if job.skip else f"the first {len(asked)}"
    cut = "" if len(asked) == len(items) else f", {which} asked (limit=null asks all)"
    yield f"task {cell.task}: {task.source.place}, {len(items)} items{cut}, answer: {task.answer}"
    yield from (f"  {role}: {found}" for role, found in task.roles.items())
    kind = task.kind(asked[0])
    if isinstance(kind, Record) and (without := ignored(kind.schema)):
        yield f"  the decoder does not enforce: {'; '.join(without)}"
    for number, item in enumerate(asked[:SHOWN], start=1):
        yield f"  item {number}, as {cell.condition} asks it:"
        yield textwrap.indent(_asked(job, cell, item), "    | ", lambda line: True)
        yield f"    {_right(task, item)}"


def _asked(job: Job, cell: Cell, item: Item) -> str:
    kind = job.tasks[cell.task].kind(item)
    turns = job.conditions[cell.condition].render(item, kind, job.prompts[cell.prompt])
    return "\n".join(turn.content for turn in turns)


def _right(task: OwnQuestions, item: Item) -> str:
    """The gold answer, and what it is read as where that is something else."""
    read = task.kind(item).canon(item.gold)
    also = f", also accepted: {', '.join(item.aliases)}" if item.aliases else ""
    return f"right: {item.gold}{'' if read in (None, item.gold) else f' (read as {read})'}{also}"
