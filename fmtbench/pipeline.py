"""Plan, generate what is missing, read, score: the only module where task, condition and backend meet.

    job = Job(cells=[...], backbone=..., backend=..., sampling=Sampling(), results=Path("results"))
    rows = run(job)

A job is one backbone on one backend; its cells are a grid inside it. The missing requests of all cells are one stream
through one engine, and each generation finds its way back to the journal of its cell.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from fmtbench.answers import AnswerKind
from fmtbench.backbone import Backbone
from fmtbench.backends.base import Backend
from fmtbench.conditions.condition import Condition
from fmtbench.conditions.latent import read_latent
from fmtbench.conditions.prompt import Prompt
from fmtbench.errors import DecoderError, UserError
from fmtbench.provenance import provenance
from fmtbench.store import Planned, RunFolder, cell_path
from fmtbench.tasks.base import Task, check_items
from fmtbench.types import Extraction, Generation, Item, Request, Row, Sampling

logger = logging.getLogger(__name__)

Watch = Callable[[int, Iterable[Generation]], Iterable[Generation]]
"""Sees how many generations are to come, and passes each through as it finishes: a progress bar."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One task under one condition, one prompt and one seed."""

    experiment: str
    backbone: str
    task: str
    condition: str
    prompt: str
    seed: int
    config: str = field(default="", repr=False)
    """The resolved configuration as YAML text, kept beside the results."""

    def folder(self, results: Path) -> RunFolder:
        variant = f"{self.prompt}-seed{self.seed}"
        return RunFolder(cell_path(results, self.experiment, self.backbone, self.task, self.condition, variant))


@dataclass(frozen=True, kw_only=True)
class Job:
    """One backbone on one backend, and the cells it serves. The dictionaries are by the names the cells use."""

    cells: Sequence[Cell]
    tasks: dict[str, Task]
    conditions: dict[str, Condition]
    prompts: dict[str, Prompt]
    backbone: Backbone
    backend: Backend
    sampling: Sampling
    results: Path
    limit: int | None = None
    """Use the first `limit` items of each task; None uses all."""


def run(job: Job, watch: Watch = lambda total, stream: stream) -> list[Row]:
    """Bring every cell of the job up to its plan, and return the scored rows of all cells.

    What a cell's journal holds already is not generated again. Raises `UserError` before any weights are loaded, for
    everything that can be known before.
    """
    plans = plan(job)
    with ExitStack() as stack:
        folders = {cell: stack.enter_context(cell.folder(job.results)) for cell in job.cells}
        missing = {cell: _missing(folders[cell], plans[cell]) for cell in job.cells}
        for cell in job.cells:
            _begin(folders[cell], cell, plans[cell], missing[cell], job)
        count = sum(map(len, missing.values()))
        logger.info("%d cells, %d requests, %d to generate", len(plans), sum(map(len, plans.values())), count)
        if count:
            _generate(job, folders, missing, watch)
        scored = (score(folders[cell], cell, job.tasks[cell.task], job.conditions[cell.condition]) for cell in job.cells)
        return [row for rows in scored for row in rows]


# -- plan


def plan(job: Job) -> dict[Cell, list[Planned]]:
    """Every request of every cell, in the order of the items."""
    if job.sampling.samples > 1 and job.sampling.temperature == 0:
        twice = f"sampling.samples={job.sampling.samples} at temperature 0 gives the same text each time"
        raise UserError(f"{twice}: set sampling.temperature above 0")
    items = {name: select_items(name, task, job.limit) for name, task in job.tasks.items()}
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
        messages, constraint = condition.render(item, kind, prompt), condition.constraint(kind)
        for sample in range(job.sampling.samples):
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


def request_seed(seed: int, item_id: str, sample: int) -> int:
    """The seed of one request alone: independent of the order and number of the others, and of the condition."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{item_id}/{sample}".encode()).digest()[:7], "big")


def _missing(folder: RunFolder, planned: Sequence[Planned]) -> list[Request]:
    done = {generation.key for generation in folder.generations()}
    wanted = {one.request.key: one.request for one in planned}
    return [request for key, request in wanted.items() if key not in done]


# -- generate


def _begin(folder: RunFolder, cell: Cell, planned: Sequence[Planned], missing: Sequence[Request], job: Job) -> None:
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
    }
    folder.write_manifest(facts)
    folder.log(f"planned {len(planned)}, to generate {len(missing)}")


def _generate(
    job: Job,
    folders: dict[Cell, RunFolder],
    missing: dict[Cell, list[Request]],
    watch: Watch,
) -> None:
    """One stream through one engine; a request that two cells share is generated once and journalled in both."""
    owners: dict[str, list[RunFolder]] = defaultdict(list)
    for cell, requests in missing.items():
        for request in requests:
            owners[request.key].append(folders[cell])
    stream = list({request.key: request for requests in missing.values() for request in requests}.values())
    job.backend.open(job.backbone)
    try:
        for generation in watch(len(stream), job.backend.generate(stream)):
            for folder in owners[generation.key]:
                folder.append(generation)
        for folder in folders.values():
            folder.write_manifest(folder.manifest() | {"engine": job.backend.facts()})
    finally:
        job.backend.close()


# -- read and score


def score(folder: RunFolder, cell: Cell, task: Task, condition: Condition) -> list[Row]:
    """Read and score what is journalled for the plan; needs no model, and gives the same rows every time."""
    planned = folder.requests()
    wanted = {one.request.key for one in planned}
    done = {generation.key: generation for generation in folder.generations() if generation.key in wanted}
    _check_masked(folder, planned, done)
    rows = [_row(cell, one, done[one.request.key], task.kind(one.item), condition) for one in planned if one.request.key in done]
    folder.write_rows(rows)
    _finish(folder, len(planned), rows, sorted({generation.decoder for generation in done.values()}))
    return rows


def _row(cell: Cell, one: Planned, generation: Generation, kind: AnswerKind, condition: Condition) -> Row:
    found = condition.read(generation, kind)
    latent = read_latent(generation.text, kind)
    return Row(
        experiment=cell.experiment,
        backbone=cell.backbone,
        task=cell.task,
        condition=cell.condition,
        prompt=cell.prompt,
        seed=cell.seed,
        sample=one.sample,
        item_id=one.item.id,
        question=one.item.question,
        gold=one.item.gold,
        answer=found.answer,
        status=found.status,
        correct=found.status == "ok" and kind.same(found.answer, one.item.gold),
        latent_answer=latent.answer,
        latent_correct=kind.same(latent.answer, one.item.gold),
        finish_reason=generation.finish_reason,
        prompt_tokens=generation.prompt_tokens,
        completion_tokens=len(generation.token_ids),
        reasoning_tokens=count_tokens(generation, found),
        reasoning_words=sum(len(generation.text[start:end].split()) for start, end in found.reasoning),
        text=generation.text,
        request_key=one.request.key,
        seconds=generation.seconds,
    )


def count_tokens(generation: Generation, found: Extraction) -> int:
    """Tokens that wrote at least one character of the rationale."""
    starts = (0, *generation.token_ends[:-1])
    tokens = list(zip(starts, generation.token_ends))
    return sum(any(start < b and end > a for a, b in found.reasoning) for start, end in tokens if end > start)


def _check_masked(folder: RunFolder, planned: Sequence[Planned], done: Mapping[str, Generation]) -> None:
    """No silent fall-back: what was asked for under a constraint must have been masked."""
    for one in planned:
        generation = done.get(one.request.key)
        if one.request.constraint and generation and generation.decoder == "none" and generation.finish_reason != "error":
            raise DecoderError(f"{folder.path}: item {one.item.id} has a constraint, but no decoder masked its generation")


def _finish(folder: RunFolder, planned: int, rows: Sequence[Row], decoders: list[str]) -> None:
    """Say in the manifest and the log how the cell stands, where that is news."""
    statuses = dict(Counter(row.status for row in rows))
    outcome = {"status": "complete" if len(rows) == planned else "incomplete", "decoder": decoders, "statuses": statuses}
    manifest = folder.manifest()
    if manifest | outcome != manifest:
        folder.write_manifest(manifest | outcome | {"finished": datetime.now(UTC).isoformat(timespec="seconds")})
        counts = ", ".join(f"{name} {count}" for name, count in sorted(statuses.items()))
        folder.log(f"{outcome['status']}: {len(rows)} of {planned} scored; {counts}")
