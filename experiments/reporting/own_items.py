"""How a run understood the user's own data, and three of its items as the model is asked them."""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import suppress

from fmtbench.answers import Record
from fmtbench.answers.record import VALUE
from fmtbench.decoding.records import ignored
from fmtbench.errors import UnaskableError, UserError
from fmtbench.running.job import Cell, Job
from fmtbench.running.planning import check_askable, select_items
from fmtbench.tasks.own_questions import OwnQuestions
from fmtbench.types import Item, Message, Request

SHOWN = 3

logger = logging.getLogger(__name__)


def announce(job: Job) -> None:
    """Log this once for each task made from the user's data. Raises `UserError` for data that cannot be asked."""
    for name, task in job.tasks.items():
        cell = _askable(job, name, task) if isinstance(task, OwnQuestions) else None
        if isinstance(task, OwnQuestions) and cell:
            logger.info("%s", "\n".join(_lines(job, cell, task)))


def _askable(job: Job, name: str, task: OwnQuestions) -> Cell | None:
    """The first cell of a task whose condition can ask its first item, or None."""
    for cell in job.cells:
        if cell.task == name:
            with suppress(UnaskableError):
                check_askable(cell, job, task.items()[0])
                return cell
    return None


def _lines(job: Job, cell: Cell, task: OwnQuestions) -> Iterator[str]:
    items = task.items()
    asked = select_items(cell.task, task, None, job.skip)[: job.most_items(cell.task)]
    which = f"{len(asked)} behind skip={job.skip}" if job.skip else f"the first {len(asked)}"
    cut = "" if len(asked) == len(items) else f", {which} asked (limit=null asks all)"
    yield f"task {cell.task}: {task.source.place}, {len(items)} items{cut}, answer: {task.answer}"
    yield from (f"  {role}: {found}" for role, found in task.roles.items())
    kind = task.kind(asked[0])
    if isinstance(kind, Record) and kind.wrapped:
        yield f"  the schema lists no fields: the whole value is asked for, and held, as the field {VALUE} of an object"
    if isinstance(kind, Record) and (without := ignored(kind.schema)):
        yield f"  the decoder does not enforce: {'; '.join(without)}"
    yield from too_long(job, cell, asked)
    for number, item in enumerate(asked[:SHOWN], start=1):
        yield f"  item {number}, as {cell.condition} asks it:"
        yield textwrap.indent(_asked(job, cell, item), "    | ", lambda line: True)
        yield f"    {_right(task, item)}"


def too_long(job: Job, cell: Cell, items: Sequence[Item]) -> Iterator[str]:
    """A line on the texts too long to leave room for a reply, quoting the longest. Raises `UserError` if all are too long."""
    found: list[str] = []
    for item in sorted(items, key=lambda item: -len(item.question)):
        request = Request(messages=_turns(job, cell, item), max_tokens=job.sampling.max_tokens)
        if not (why := job.backend.why_too_long(job.backbone, request)):
            break
        found.append(f"item {item.id} has {why}")
    change = "shorten them, lower sampling.max_tokens, or raise backbone.context"
    if len(found) == len(items):
        raise UserError(f"task {cell.task}: all {len(items)} texts are too long: {found[0]}: {change}")
    if found:
        yield f"  {len(found)} texts are too long, and end as engine errors: {found[0]}; {change}"


def _turns(job: Job, cell: Cell, item: Item) -> tuple[Message, ...]:
    return job.conditions[cell.condition].render(item, job.tasks[cell.task].kind(item), job.prompts[cell.prompt])


def _asked(job: Job, cell: Cell, item: Item) -> str:
    return "\n".join(turn.content for turn in _turns(job, cell, item))


def _right(task: OwnQuestions, item: Item) -> str:
    """The gold answer, and what it is read as if that differs."""
    read = task.kind(item).canon(item.gold)
    also = f", also accepted: {', '.join(item.aliases)}" if item.aliases else ""
    return f"right: {item.gold}{'' if read in (None, item.gold) else f' (read as {read})'}{also}"
