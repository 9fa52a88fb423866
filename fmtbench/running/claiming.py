"""Which cells this process may write: several workers share a results folder, and a lock a cell keeps them apart."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, suppress

from fmtbench.errors import LockedError
from fmtbench.running.cell_work import CellWork
from fmtbench.running.job import Cell, Job
from fmtbench.running.planning import MOST_REQUESTS, Plans

logger = logging.getLogger(__name__)

LOOK_AGAIN_SECONDS = 2.0
"""How often cells that another process is writing are tried again."""


def claims(job: Job, planner: Plans) -> Generator[list[CellWork]]:
    """Free cells, locked for us until the next step, as many as memory has room for; then others, until none is left.

    So two workers never do the same cell, and no cell is forgotten. Cells of one task and prompt come together where one step
    is too few, since these may share requests.
    """
    waiting, said = _in_order(job, planner), 0
    while waiting:
        with ExitStack() as locks:
            ours, busy = _free(job, planner, waiting, locks)
            waiting = [cell for cell in waiting if cell not in {work.cell for work in ours}]
            if busy and len(busy) != said:
                said = len(busy)
                where = busy[0].folder(job.results).path
                logger.info("%d cells are being written by another process, such as %s: waiting for it", said, where)
            if ours:
                yield ours
        if not ours:
            time.sleep(LOOK_AGAIN_SECONDS)


def _in_order(job: Job, planner: Plans) -> list[Cell]:
    if sum(map(planner.size, job.cells)) <= MOST_REQUESTS:
        return list(job.cells)
    return sorted(job.cells, key=lambda cell: (cell.task, cell.prompt))


def _free(job: Job, planner: Plans, waiting: Sequence[Cell], locks: ExitStack) -> tuple[list[CellWork], list[Cell]]:
    """The work on the first cells whose locks we got, up to `MOST_REQUESTS`; and the cells that others hold."""
    ours: list[CellWork] = []
    busy: list[Cell] = []
    room = MOST_REQUESTS
    for cell in waiting:
        if ours and planner.size(cell) > room:
            break
        if work := _claim(job, cell, planner, locks):
            ours.append(work)
            room -= planner.size(cell)
        else:
            busy.append(cell)
    return ours, busy


def _claim(job: Job, cell: Cell, planner: Plans, locks: ExitStack) -> CellWork | None:
    """The work on a cell whose lock we got; None where another process holds it."""
    with suppress(LockedError):
        folder = locks.enter_context(cell.folder(job.results))
        first = planner.plan(cell)
        return CellWork(job=job, cell=cell, folder=folder, first=first, barred=planner.barred(cell), further=planner.facts(cell))
    return None
