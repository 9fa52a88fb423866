"""From a job to its requests: every cell, every item, every sample, in the order of the items. No model is needed."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Protocol

from fmtbench.errors import UnaskableError, UserError
from fmtbench.running.asking import request_seed
from fmtbench.running.calling import tools_offered, why_unaskable
from fmtbench.running.job import Cell, Job
from fmtbench.running.thinking import asked_to_think
from fmtbench.running.untried import check_formatter, why_untried
from fmtbench.store.folder import Planned
from fmtbench.tasks.base import Task, check_items, worked_examples
from fmtbench.types import Constraint, Item, Request

logger = logging.getLogger(__name__)

MOST_REQUESTS = 50_000
"""Of all cells that are worked on at once: some 100 MB of requests. Engines need far fewer to stay full."""


class Plans(Protocol):
    """What the cells of a job ask first."""

    def size(self, cell: Cell) -> int:
        """How many requests a cell has, but for later passes."""
        ...

    def plan(self, cell: Cell) -> list[Planned]:
        """The first passes."""
        ...

    def barred(self, cell: Cell) -> str:
        """Why a cell has nothing to ask; empty where it has."""
        ...

    def facts(self, cell: Cell) -> dict[str, Any]:
        """What the plan has to say in the manifest of a cell."""
        ...


class Planner:
    """The first passes of the cells of a job, made when they are wanted.

    Where a job has more than `MOST_REQUESTS`, plans are made twice and kept once, since all of them take gigabytes. Raises
    `UserError` for items or samplings that cannot be asked, whichever cell they are of, and where no cell can be asked.
    """

    def __init__(self, job: Job, *, whole: bool = False) -> None:
        """`whole` keeps all plans, however many, for who wants all at once."""
        most = max(job.samples(cell.condition) for cell in job.cells)
        if most > 1 and job.sampling.temperature == 0:
            raise UserError(f"{most} samples at temperature 0 are the same text {most} times: set sampling.temperature above 0")
        job.backend.check_template(job.backbone)
        check_formatter(job)
        asked = {cell.task for cell in job.cells}
        _check_wordings(job)
        self._job = job
        self._items = {
            name: select_items(name, task, job.most_items(name), job.skip) for name, task in job.tasks.items() if name in asked
        }
        self._kept: dict[Cell, list[Planned]] = {}
        self._barred = {cell: why for cell in job.cells if (why := why_unaskable(job, cell) or why_untried(job, cell))}
        keep = whole or sum(map(self.size, job.cells)) <= MOST_REQUESTS
        for cell in job.cells:
            planned = self._planned(cell)
            if keep:
                self._kept[cell] = planned
        if len(self._barred) == len(job.cells):
            raise UserError(_reasons(self._barred))

    def size(self, cell: Cell) -> int:
        """How many requests a cell has, but for later passes."""
        return len(self._items[cell.task]) * self._job.samples(cell.condition)

    def plan(self, cell: Cell) -> list[Planned]:
        """One request for each item and sample; none where the condition cannot ask for the task's answers."""
        return self._kept[cell] if cell in self._kept else self._planned(cell)

    def barred(self, cell: Cell) -> str:
        """Why a cell cannot run, as far as is known without compiling anything; empty where it can."""
        return self._barred.get(cell, "")

    def _planned(self, cell: Cell) -> list[Planned]:
        try:
            return _plan_cell(cell, self._job, self._items[cell.task])
        except UnaskableError as error:
            self._barred.setdefault(cell, str(error))
            return []

    def facts(self, cell: Cell) -> dict[str, Any]:
        return {}


def _reasons(barred: Mapping[Cell, str]) -> str:
    """Each reason once, with the conditions that it bars."""
    conditions: dict[str, list[str]] = defaultdict(list)
    for cell, why in barred.items():
        conditions[why].append(cell.condition)
    return "; ".join(f"condition {', '.join(dict.fromkeys(names))}: {why}" for why, names in conditions.items())


def _check_wordings(job: Job) -> None:
    for cell in job.cells:
        condition, prompt = job.conditions[cell.condition], job.prompts[cell.prompt]
        if condition.when == "reconsider" and not prompt.reconsider:
            raise UserError(
                f"condition {cell.condition} asks for a new answer, and prompt {cell.prompt} has no words for that: give it a "
                "reconsider, such as reconsider: Reconsider the question in plain prose."
            )
        if condition.remedy == "retry" and not prompt.retry:
            raise UserError(
                f"condition {cell.condition} asks again, and prompt {cell.prompt} has no words for that: give it a retry, "
                'such as retry: "Your reply is not valid: {error}. Answer again."'
            )


def plan(job: Job) -> dict[Cell, list[Planned]]:
    """The first passes of every cell, all at once."""
    planner = Planner(job, whole=True)
    return {cell: planner.plan(cell) for cell in job.cells}


def select_items(name: str, task: Task, limit: int | None, skip: int = 0) -> list[Item]:
    """The first `limit` items of a task behind the first `skip`, checked; all of them, with a note in the log, where there are
    fewer. With `skip` a question counts once: some data sets repeat theirs, and who has skipped one must not meet it again.
    Raises `UserError` where none is left."""
    items = task.items()
    check_items(task, items, name)
    left = _once(items)[skip:] if skip else items
    if not left:
        raise UserError(f"task {name} has {len(items)} items, and skip={skip} leaves none: skip fewer, or leave the task out")
    if limit is not None and limit > len(left):
        behind = f" behind skip={skip}" if skip else ""
        logger.info("task %s has %d items%s, fewer than limit=%d: using all", name, len(left), behind, limit)
    return left[:limit]


def _once(items: Sequence[Item]) -> list[Item]:
    first: dict[str, Item] = {}
    for item in items:
        first.setdefault(item.question, item)
    return list(first.values())


def _plan_cell(cell: Cell, job: Job, items: Sequence[Item]) -> list[Planned]:
    # Once for each constraint: the text is long, and all requests of a cell can hold the same one.
    identity = cache(lambda constraint: job.backend.identity_of(job.backbone, constraint, job.sampling.temperature))
    return [
        Planned(item=item, sample=sample, request=request)
        for item in items
        for sample, request in enumerate(_requests(cell, job, item, identity))
        if cell not in job.only or (item.id, sample) in job.only[cell]
    ]


def check_askable(cell: Cell, job: Job, item: Item) -> None:
    """Raises `UnaskableError` where the condition of a cell cannot ask for an item's answer, show it or hold it."""
    _requests(cell, job, item, lambda constraint: "")


def _requests(cell: Cell, job: Job, item: Item, identity: Callable[[Constraint | None], str]) -> list[Request]:
    """One request for each sample of an item; they differ in their seeds alone. Raises `UnaskableError` for an answer that a
    pass of the condition cannot ask for, the last one too: it is known before the first is paid for."""
    task, condition = job.tasks[cell.task], job.condition(cell.condition)
    kind = task.kind(item)
    if condition.rewrites:
        condition.check_last(kind)
    shots = worked_examples(task, cell.task, item, condition.shots, condition.reasoning == "draft")
    constraint = condition.opening.constraint(kind)
    messages = condition.render(item, kind, job.prompts[cell.prompt], shots)
    greedy = job.sampling.temperature == 0
    further = asked_to_think(job.backbone, condition)
    further["chat_template_kwargs"] = further["chat_template_kwargs"] | tools_offered(condition.opening, kind)
    return [
        Request(
            messages=messages,
            constraint=constraint,
            temperature=job.sampling.temperature,
            top_p=job.sampling.top_p,
            max_tokens=job.sampling.max_tokens,
            seed=None if greedy else request_seed(cell.seed, item.id, sample),
            identity=identity(constraint),
            **further,
        )
        for sample in range(job.samples(cell.condition))
    ]
