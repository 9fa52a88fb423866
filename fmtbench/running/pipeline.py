"""Plan, generate what is missing, read, score: where task, condition and backend meet.

    job = Job(cells=[...], backbone=..., backend=..., sampling=Sampling(), results=Path("results"))
    rows = run(job)

A job is one backbone on one backend; its cells are a grid inside it. The missing requests of all cells are one stream
through one engine, and each generation finds its way back to the journal of its cell. What is about second passes is in
`passes.py`, and what needs no model in `scoring.py`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path

from fmtbench.backends.admission import Admission, admit
from fmtbench.errors import LockedError, RefusedError, UserError
from fmtbench.probes.determinism import remembered
from fmtbench.running.asking import answer, request_seed, unanswered
from fmtbench.running.job import Cell, Job
from fmtbench.running.passes import second_passes
from fmtbench.running.scoring import score
from fmtbench.store.folder import Planned, RunFolder
from fmtbench.store.provenance import provenance
from fmtbench.tasks.base import Task, check_items, worked_examples
from fmtbench.types import Constraint, Item, Request, Row, Watch

logger = logging.getLogger(__name__)

LOOK_AGAIN_SECONDS = 2.0
"""How often cells that another process is writing are tried again."""


def run(job: Job, watch: Watch = lambda total, stream: stream) -> list[Row]:
    """Bring every cell of the job up to its plan, and return the scored rows of all cells.

    What a cell's journal holds already is not generated again. Cells that another process is writing are left until the
    others are done, and then waited for, so that two workers never do the same cell and no cell is forgotten. Raises
    `UserError` before any weights are loaded, for everything that can be known before.
    """
    plans = plan(job)
    rows: dict[Cell, list[Row]] = {}
    said = 0
    while waiting := [cell for cell in job.cells if cell not in rows]:
        with ExitStack() as stack:
            folders = _claim(waiting, job.results, stack)
            busy = [cell.folder(job.results).path for cell in waiting if cell not in folders]
            if busy and len(busy) != said:
                logger.info("%d cells are being written by another process, such as %s: waiting for it", len(busy), busy[0])
                said = len(busy)
            if folders:
                rows |= _run_cells(job, {cell: plans[cell] for cell in folders}, folders, watch)
        if not folders:
            time.sleep(LOOK_AGAIN_SECONDS)
    found = [row for cell in job.cells for row in rows[cell]]
    refusals = [] if found else [why for cell in job.cells if (why := cell.folder(job.results).manifest().get("refused"))]
    if refusals:
        raise RefusedError(f"every cell is refused, the first because {refusals[0]}")
    return found


def _claim(cells: Sequence[Cell], results: Path, stack: ExitStack) -> dict[Cell, RunFolder]:
    """The folders that no other process writes to, locked for us."""
    folders = {}
    for cell in cells:
        with suppress(LockedError):
            folders[cell] = stack.enter_context(cell.folder(results))
    return folders


def _run_cells(job: Job, plans: dict[Cell, list[Planned]], folders: dict[Cell, RunFolder], watch: Watch) -> dict[Cell, list[Row]]:
    """Generate what is missing in cells that are locked for us, and score them."""
    done = _share(folders, plans, job.retry_errors)
    plans = {cell: follow(job, cell, planned) for cell, planned in plans.items()}
    missing = {cell: unanswered(planned, done[cell]) for cell, planned in plans.items()}
    admissions = {cell: admit(job.backend, job.backbone, _grammars(job, cell, plans[cell], missing[cell])) for cell in plans}
    for cell in plans:
        _begin(folders[cell], cell, plans[cell], missing[cell], job, admissions[cell])
    # A refused cell stays out of all that follows: its first passes may be there, shared by another cell.
    missing = {cell: requests for cell, requests in missing.items() if not admissions[cell].refused}
    count = sum(map(len, missing.values()))
    logger.info("%d cells, %d requests, %d to generate", len(plans), sum(map(len, plans.values())), count)
    if count:
        _generate(job, {cell: folders[cell] for cell in missing}, missing, watch)
    return {cell: score(folders[cell], cell, job.tasks[cell.task], job.conditions[cell.condition]) for cell in plans}


# -- plan


def plan(job: Job) -> dict[Cell, list[Planned]]:
    """Every request of every cell, in the order of the items."""
    most = max(job.samples(cell.condition) for cell in job.cells)
    if most > 1 and job.sampling.temperature == 0:
        raise UserError(f"{most} samples at temperature 0 are the same text {most} times: set sampling.temperature above 0")
    asked = {cell.task for cell in job.cells}
    items = {name: select_items(name, task, job.limit) for name, task in job.tasks.items() if name in asked}
    return {cell: _plan_cell(cell, job, items[cell.task]) for cell in job.cells}


def select_items(name: str, task: Task, limit: int | None) -> list[Item]:
    """The first `limit` items of a task, checked; all of them, and a word about it, where there are fewer."""
    items = task.items()
    check_items(task, items, name)
    if limit is not None and limit > len(items):
        logger.info("task %s has %d items, fewer than limit=%d: using all", name, len(items), limit)
    return items[:limit]


def _plan_cell(cell: Cell, job: Job, items: Sequence[Item]) -> list[Planned]:
    task, condition, prompt = job.tasks[cell.task], job.conditions[cell.condition], job.prompts[cell.prompt]
    planned = []
    for item in items:
        kind = task.kind(item)
        shots = worked_examples(task, cell.task, item, condition.shots)
        messages, constraint = condition.render(item, kind, prompt, shots), condition.opening.constraint(kind)
        for sample in range(job.samples(cell.condition)):
            request = Request(
                messages=messages,
                constraint=constraint,
                temperature=job.sampling.temperature,
                top_p=job.sampling.top_p,
                max_tokens=job.sampling.max_tokens,
                seed=None if job.sampling.temperature == 0 else request_seed(cell.seed, item.id, sample),
                engine=job.backend.engine(job.backbone, constraint),
            )
            planned.append(Planned(item=item, sample=sample, request=request))
    return planned


def _passes(job: Job, cell: Cell) -> int:
    return job.conditions[cell.condition].passes


def follow(job: Job, cell: Cell, planned: Sequence[Planned]) -> list[Planned]:
    """The first passes of a plan, and the second passes of those that the cell's journal has replies for."""
    condition = job.conditions[cell.condition]
    if _passes(job, cell) == 1:
        return list(planned)
    first = [one for one in planned if not one.after]
    done = {generation.key: generation for generation in cell.folder(job.results).generations()}
    prompt = job.prompts[cell.prompt]
    return first + second_passes(first, done, job.tasks[cell.task], condition, prompt, partial(job.backend.engine, job.backbone))


def _share(folders: dict[Cell, RunFolder], plans: dict[Cell, list[Planned]], retry: bool) -> dict[Cell, set[str]]:
    """Copy into each journal what another cell of the job has generated for the same request; what each then holds."""
    done = {cell: folder.done(errors=not retry) for cell, folder in folders.items()}
    lacks = {cell: {one.request.key for one in plans[cell]} - keys for cell, keys in done.items()}
    wanted = set[str]().union(*lacks.values())
    shared = [folder.generations() for cell, folder in folders.items() if wanted & done[cell]]
    known = {one.key: one for generations in shared for one in generations if one.key in wanted}
    for cell, keys in lacks.items():
        for key in sorted(keys & known.keys()):
            folders[cell].append(known[key])
            done[cell].add(key)
    return done


def _grammars(job: Job, cell: Cell, planned: Sequence[Planned], missing: Sequence[Request]) -> set[Constraint | None]:
    """The constraints of what is missing, those of second passes that are still to be made among them."""
    grammars = {request.constraint for request in missing}
    if missing and _passes(job, cell) > 1:
        grammars |= {job.conditions[cell.condition].constraint(job.tasks[cell.task].kind(one.item)) for one in planned}
    return grammars


# -- generate


def _begin(
    folder: RunFolder, cell: Cell, planned: Sequence[Planned], missing: Sequence[Request], job: Job, admission: Admission
) -> None:
    """Write down what is about to run, so that a killed run explains itself too."""
    folder.write_config(cell.config)
    folder.write_requests(planned)
    if not missing and folder.manifest().get("status") == "complete":
        return
    items = [asdict(item) for item in dict.fromkeys(one.item for one in planned)]
    facts = provenance(items) | {
        "status": "running",
        "sampling": asdict(job.sampling),
        "seed": cell.seed,
        "planned": len(planned),
        "missing_at_start": len(missing),
        "grammars": admission.grammars,
    }
    if admission.refused:
        facts |= {"refused": admission.refused}
        logger.warning("%s/%s does not run: %s", cell.task, cell.condition, admission.refused)
    folder.write_manifest(facts)
    folder.log(admission.refused or f"planned {len(planned)}, to generate {len(missing)}")


def _generate(job: Job, folders: dict[Cell, RunFolder], missing: dict[Cell, list[Request]], watch: Watch) -> None:
    """Answer what is missing, and then the second passes that these answers make possible, with one engine."""
    job.backend.open(job.backbone)
    try:
        _answer(job, folders, missing, watch)
        second = {cell: follow(job, cell, folder.requests()) for cell, folder in folders.items() if _passes(job, cell) > 1}
        for cell, planned in second.items():
            folders[cell].write_requests(planned)
        _answer(job, folders, {cell: unanswered(planned, folders[cell].done()) for cell, planned in second.items()}, watch)
        facts = job.backend.facts()
        for folder in folders.values():
            folder.write_manifest(folder.manifest() | {"engine": facts, "determinism": remembered(facts)})
    finally:
        job.backend.close()


def _answer(job: Job, folders: dict[Cell, RunFolder], missing: dict[Cell, list[Request]], watch: Watch) -> None:
    answer(job.backend, job.backbone, [(folders[cell], requests) for cell, requests in missing.items()], watch)
