"""Which cells this process may write: several workers share a results folder, and a lock a cell keeps them apart."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, suppress

from fmtbench.errors import LockedError
from fmtbench.running.cell_work import CellWork
from fmtbench.running.job import Cell, Job
from fmtbench.store.folder import Planned

logger = logging.getLogger(__name__)

LOOK_AGAIN_SECONDS = 2.0
"""How often cells that another process is writing are tried again."""


def claims(job: Job, plans: Mapping[Cell, list[Planned]]) -> Generator[list[CellWork]]:
    """The cells that are free, locked for us until the next step; then those that others were writing, until none is left.

    So two workers never do the same cell, and no cell is forgotten.
    """
    waiting, said = list(job.cells), 0
    while waiting:
        with ExitStack() as locks:
            ours = [work for cell in waiting if (work := _claim(job, cell, plans[cell], locks))]
            waiting = [cell for cell in waiting if cell not in {work.cell for work in ours}]
            if waiting and len(waiting) != said:
                busy, said = waiting[0].folder(job.results).path, len(waiting)
                logger.info("%d cells are being written by another process, such as %s: waiting for it", said, busy)
            if ours:
                yield ours
        if not ours:
            time.sleep(LOOK_AGAIN_SECONDS)


def _claim(job: Job, cell: Cell, first: list[Planned], locks: ExitStack) -> CellWork | None:
    """The work on a cell whose lock we got; None where another process holds it."""
    with suppress(LockedError):
        folder = locks.enter_context(cell.folder(job.results))
        return CellWork(job=job, cell=cell, folder=folder, first=first)
    return None
