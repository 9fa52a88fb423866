"""Plan, generate what is missing, read, score: where task, condition and backend meet.

    job = Job(cells=[...], backbone=..., backend=..., sampling=Sampling(), results=Path("results"))
    rows = run(job)

A job is one backbone on one backend; its cells are a grid inside it. The missing requests of all cells are one stream
through one engine, and each generation finds its way back to the journal of its cell.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing

from fmtbench.backends.supervise import SupervisedSession
from fmtbench.errors import BarredError
from fmtbench.probes.determinism import remembered
from fmtbench.running.asking import answer
from fmtbench.running.cell_work import CellWork
from fmtbench.running.claiming import claims
from fmtbench.running.job import Cell, Job
from fmtbench.running.planning import plan
from fmtbench.types import Row, Watch

logger = logging.getLogger(__name__)


def run(job: Job, watch: Watch = lambda total, stream: stream) -> list[Row]:
    """Bring every cell of the job up to its plan, and return the scored rows of all cells.

    What a cell's journal holds already is not generated again. Raises `UserError` before any weights are loaded, for
    everything that can be known before, and `BarredError` where no cell can run.
    """
    rows: dict[Cell, list[Row]] = {}
    barred: list[str] = []
    with closing(claims(job, plan(job))) as claimed:
        for cells in claimed:
            share(cells)
            for one in cells:
                one.begin()
            generate(job, [one for one in cells if not one.barred], watch)
            rows |= {one.cell: one.score() for one in cells}
            barred += [one.barred for one in cells if one.barred]
    found = [row for cell in job.cells for row in rows[cell]]
    if barred and not found:
        raise BarredError(f"every cell is barred, the first because {barred[0]}")
    return found


def share(cells: Sequence[CellWork]) -> None:
    """Copy into each journal what another cell has generated for the same request."""
    lacking = {one.cell: {planned.request.key for planned in one.first} - one.done for one in cells}
    wanted = set[str]().union(*lacking.values())
    sources = [one for one in cells if wanted & one.done]
    said = (generation for one in sources for generation in one.folder.generations() if generation.key in one.done & wanted)
    known = {generation.key: generation for generation in said if not generation.transient}
    for one in cells:
        for key in sorted(lacking[one.cell] & known.keys()):
            one.keep(known[key])


def generate(job: Job, cells: Sequence[CellWork], watch: Watch) -> None:
    """Answer what is missing, and then the second passes that these answers make possible, with one engine."""
    count = sum(len(one.missing) for one in cells)
    logger.info("%d cells, %d requests, %d to generate", len(cells), sum(len(one.planned) for one in cells), count)
    if not count:
        return
    with SupervisedSession(job.backend, job.backbone) as session:
        facts = session.facts()
        for one in cells:
            one.opened(facts, remembered(facts))
        answer(session, [(one.keep, one.missing) for one in cells], watch)
        for one in cells:
            one.advance()
        answer(session, [(one.keep, one.missing) for one in cells], watch)
