"""Plan, generate what is missing, read, score: where task, condition and backend meet.

    job = Job(cells=[...], backbone=..., backend=..., sampling=Sampling(), results=Path("results"))
    rows = run(job)

A job is one backbone on one backend; its cells are a grid inside it. The missing requests of all cells are one stream
through one engine, and each generation finds its way back to the journal of its cell.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial

from fmtbench.backbone import Backbone
from fmtbench.backends.supervise import SupervisedSession
from fmtbench.errors import BarredError
from fmtbench.probes.determinism import remembered
from fmtbench.running.asking import answer
from fmtbench.running.cell_work import CellWork, stands
from fmtbench.running.claiming import claims
from fmtbench.running.job import Cell, Job
from fmtbench.running.planning import Planner, Plans
from fmtbench.store.folder import RunFolder
from fmtbench.types import Row, Watch

logger = logging.getLogger(__name__)


def run(job: Job, watch: Watch = lambda total, stream: stream, plans: Plans | None = None) -> list[Row]:
    """Bring every cell of the job up to its plan, and return the scored rows of all cells, some 5 KB each.

    What a cell's journal holds already is not generated again. `plans`: what the cells ask, where that is not every item and
    sample under its condition. Raises `UserError` before any weights are loaded, for
    everything that can be known before, and `BarredError` where no cell can run.
    """
    rows = dict(finished(job, watch, plans))
    return [row for cell in job.cells for row in rows[cell]]


def finished(
    job: Job, watch: Watch = lambda total, stream: stream, plans: Plans | None = None
) -> Iterator[tuple[Cell, list[Row]]]:
    """As `run`, cell by cell, each as soon as it is scored: a million rows need not be held at once."""
    barred, scored = "", False
    with closing(claims(job, plans or Planner(job))) as claimed:
        for cells in claimed:
            share(job, [one for one in cells if not one.barred])
            for one in cells:
                one.begin()
            generate(job, [one for one in cells if not one.barred], watch)
            for one in cells:
                rows = one.score()
                scored, barred = scored or bool(rows), barred or one.barred
                yield one.cell, rows
    if barred and not scored:
        raise BarredError(f"every cell is barred, the first because {barred}")


def share(job: Job, cells: Sequence[CellWork]) -> None:
    """Copy into each journal what another cell of the job has generated for the same request."""
    lacking = {one.cell: {planned.request.key for planned in one.first} - one.done for one in cells}
    wanted = set[str]().union(*lacking.values())
    ours = [(one.folder, one.done) for one in cells if wanted & one.done]
    sources = [*ours, *_others(job, cells, wanted)]
    said = (one for folder, done in sources for one in folder.generations() if one.key in done & wanted)
    known = {one.key: one for one in said if not one.transient}
    for one in cells:
        for key in sorted(lacking[one.cell] & known.keys()):
            one.keep(known[key])


def _others(job: Job, cells: Sequence[CellWork], wanted: set[str]) -> list[tuple[RunFolder, set[str]]]:
    """Folders and what is done there, of the cells that are not worked on now and may have the same requests, being of the same
    task and prompt."""
    ours, alike = {one.cell for one in cells}, {(one.cell.task, one.cell.prompt) for one in cells}
    others = [cell.folder(job.results) for cell in job.cells if cell not in ours and (cell.task, cell.prompt) in alike]
    done = ((folder, folder.done(partial(stands, job))) for folder in others if wanted)
    return [(folder, keys) for folder, keys in done if wanted & keys]


def generate(job: Job, cells: Sequence[CellWork], watch: Watch) -> None:
    """Answer what is missing, and then the later passes that these answers make possible, with one engine; what another backbone
    writes comes last, when the first one's memory is free again."""
    count = sum(len(one.missing) for one in cells)
    logger.info("%d cells, %d requests, %d to generate", len(cells), sum(len(one.planned) for one in cells), count)
    formatted = [one for one in cells if one.condition.formatter == "other"]
    if any(one.asked_of(formatter=False) for one in cells):
        if job.formatter and formatted:
            prove(job, job.formatter)
        with SupervisedSession(job.backend, job.backbone) as session:
            converse(session, cells, watch, formatter=False)
    if job.formatter and any(one.asked_of(formatter=True) for one in formatted):
        with SupervisedSession(job.backend, job.formatter) as session:
            converse(session, formatted, watch, formatter=True)


def prove(job: Job, formatter: Backbone) -> None:
    """Open the formatter and close it: what is wrong with it is known before the first replies are paid for."""
    with SupervisedSession(job.backend, formatter):
        logger.info("formatter %s: opens", formatter.name)


def converse(session: SupervisedSession, cells: Sequence[CellWork], watch: Watch, *, formatter: bool) -> None:
    """Answer what is asked of this backbone, pass after pass, as long as replies make another one possible."""
    session.prepare([request for one in cells for request in one.asked_of(formatter=formatter)])
    facts = session.facts()
    for one in cells:
        if formatter:
            one.formatted(facts)
        else:
            one.opened(facts, remembered(facts))
    for _ in range(max(one.condition.passes for one in cells)):
        answer(session, [(one.keep, one.asked_of(formatter=formatter)) for one in cells], watch)
        for one in cells:
            one.advance()
