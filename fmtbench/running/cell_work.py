"""One cell on its way from its plan to its rows: what is asked, what is there, what is missing."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from fmtbench.backends.admission import Admission, compile_all
from fmtbench.conditions.condition import Condition
from fmtbench.running.asking import unanswered
from fmtbench.running.calling import why_unaskable
from fmtbench.running.job import Cell, Job
from fmtbench.running.passes import GoingOn, answered, later_passes
from fmtbench.running.scoring import score
from fmtbench.running.untried import why_untried
from fmtbench.store.folder import Planned, RunFolder
from fmtbench.store.provenance import items_hash, provenance
from fmtbench.tasks.base import Task
from fmtbench.types import Constraint, Generation, Request, Row

logger = logging.getLogger(__name__)


def stands(job: Job, error: Generation) -> bool:
    """Whether an error is not worth asking again: older journals do not say what room there was."""
    if job.retry_errors:
        return False
    return error.capacity in ("", job.backend.capacity(job.backbone))


@dataclass(kw_only=True)
class CellWork:
    """A cell of a job and what its run folder holds of it; whoever appends holds the folder's lock."""

    job: Job
    cell: Cell
    folder: RunFolder
    first: list[Planned]
    """Its first passes."""
    planned: list[Planned] = field(init=False)
    """They, and the later passes of those that have a reply."""
    done: set[str] = field(init=False)
    """Keys of the requests that are not generated again."""
    barred: str = ""
    """Why the cell cannot run; empty where it can."""
    further: Mapping[str, Any] = field(default_factory=dict)
    """What the plan has to say in the manifest."""

    def __post_init__(self) -> None:
        self.done = self.folder.done(partial(stands, self.job))
        self.planned = self.first
        self.barred = self.barred or why_unaskable(self.job, self.cell) or why_untried(self.job, self.cell)

    @property
    def task(self) -> Task:
        return self.job.tasks[self.cell.task]

    @property
    def condition(self) -> Condition:
        return self.job.condition(self.cell.condition)

    @property
    def missing(self) -> list[Request]:
        return unanswered(self.planned, self.done)

    def keep(self, generation: Generation) -> None:
        """Journal a generation; it is done from here on. An error is so for as long as the engine has the same room."""
        if generation.finish_reason == "error" and not generation.capacity:
            generation = replace(generation, capacity=self.job.backend.capacity(self.job.backbone))
        self.folder.append(generation)
        self.done.add(generation.key)

    def asked_of(self, *, formatter: bool) -> list[Request]:
        """What is missing of the passes that the job's formatter writes, or of those of the backbone."""
        theirs = self.condition.formatter == "other"
        return unanswered([one for one in self.planned if (theirs and bool(one.after)) == formatter], self.done)

    def most_left(self) -> int:
        """Requests that are still to be answered; of tries, as many as there may be."""
        said = {key: one for key, one in self._said().items() if key in self.done}
        whole = list(answered(self.planned, said, self.condition, self.task))
        begun = len({one.request.key for one in self.planned} & said.keys()) - sum(len(one.generations) for one in whole)
        return (len(self.first) - len(whole)) * self.condition.passes - begun

    def _said(self) -> dict[str, Generation]:
        return {generation.key: generation for generation in self.folder.generations()}

    def follow(self) -> None:
        """Plan the later passes that the replies in the journal make possible."""
        if self.condition.passes > 1:
            self.planned = [*self.first, *later_passes(self.first, self._said(), self._going_on())]

    def _going_on(self) -> GoingOn:
        backend, writer, temperature = self.job.backend, self.job.backbone, self.job.sampling.temperature
        identity = partial(backend.identity, writer)
        if self.condition.formatter == "other" and self.job.formatter:
            writer = self.job.formatter
            identity = partial(backend.identity_of, writer, temperature=temperature)
        return GoingOn(
            task=self.task,
            condition=self.condition,
            prompt=self.job.prompts[self.cell.prompt],
            seed=self.cell.seed,
            identity=identity,
            arguments=writer.chat_template_kwargs,
        )

    def advance(self) -> None:
        """After some passes: plan those that follow, and write them down."""
        if self.condition.passes > 1:
            self.follow()
            self.folder.write_requests(self.planned)

    def begin(self) -> None:
        """Compile the grammars of what is missing, and write down what is about to run, so that a killed run explains itself."""
        self.follow()
        missing = self.missing
        admission = self._admission()
        self.barred = admission.barred
        self.folder.write_config(self.cell.config)
        self.folder.write_requests(self.planned)
        manifest, sources = self.folder.manifest(), self._sources()
        if missing or not self.planned or manifest.get("status") not in ("complete", "incomplete"):
            self.folder.write_manifest(self._facts(admission, len(missing)) | sources)
            self.folder.log(self.barred or f"planned {len(self.planned)}, to generate {len(missing)}")
        elif manifest | sources != manifest:
            self.folder.write_manifest(manifest | sources)
        if self.barred:
            logger.warning("%s/%s does not run: %s", self.cell.task, self.cell.condition, self.barred)

    def opened(self, engine: Mapping[str, Any], determinism: Mapping[str, Any] | None) -> None:
        """Write down what the engine says of itself."""
        self.folder.write_manifest(self.folder.manifest() | {"engine": engine, "determinism": determinism})

    def formatted(self, engine: Mapping[str, Any]) -> None:
        """Write down what the engine says of itself under the formatter."""
        self.folder.write_manifest(self.folder.manifest() | {"formatter": dict(engine)})

    def score(self) -> list[Row]:
        return score(self.folder, self.cell, self.task, self.condition)

    def _admission(self) -> Admission:
        """What the engine says of the cell's grammars, unless the cell is barred already."""
        if self.barred:
            return Admission([], self.barred)
        masked = self.job.formatter if self.condition.formatter == "other" else None  # its first pass is free text
        return compile_all(self.job.backend, masked or self.job.backbone, self._grammars())

    def _grammars(self) -> set[Constraint | None]:
        """The constraints of what is missing, including those of later passes that are still to be planned."""
        grammars = {request.constraint for request in self.missing}
        if grammars and self.condition.passes > 1:
            grammars |= {self.condition.constraint(self.task.kind(one.item)) for one in self.first}
        return grammars

    def _sources(self) -> dict[str, Any]:
        """What the plan says, and checksums of what the two files beside the manifest say, so that damage to them is found
        (`experiments.audit`)."""
        config = self.cell.config.encode("utf-8", "backslashreplace")
        items = items_hash(one.item for one in self.planned)
        return {**self.further, "config_sha256": hashlib.sha256(config).hexdigest(), "items_sha256": items}

    def _engine_of_the_keys(self) -> dict[str, Any]:
        """What the keys of the requests say of the engine, for a manifest that was lost; an engine that opens says more."""
        try:
            identity = json.loads(self.first[0].request.identity)
            return {"engine": {"engine": identity["engine"], "weights": {"fingerprint": identity["weights"]}}}
        except (ValueError, KeyError, TypeError, IndexError):
            return {}

    def _facts(self, admission: Admission, missing: int) -> dict[str, Any]:
        facts = (
            provenance()
            | self._engine_of_the_keys()
            | {
                "status": "running",
                "sampling": asdict(self.job.sampling),
                "seed": self.cell.seed,
                "planned": len(self.planned),
                "missing_at_start": missing,
                "grammars": admission.grammars,
            }
        )
        return facts | ({"barred": admission.barred} if admission.barred else {})
