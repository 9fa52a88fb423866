"""Brainstorm tasks, write triples, keep the good ones: one run folder, one engine.

    made = synthesize(Synthesis(recipe=..., backbone=..., backend=..., tasks=20, triples=100, output=Path("triples")))

Each step asks until it has kept enough, or has asked for `attempts` times as much. The next request depends only on the replies
so far, so the same command resumes where it stopped and generates nothing twice.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from fmtbench.backbone import Backbone, load_tokenizer
from fmtbench.backends.admission import MaskingBackend, compile_all
from fmtbench.backends.base import Backend, Session
from fmtbench.backends.supervise import SupervisedSession
from fmtbench.backends.tokens import prompt
from fmtbench.errors import BarredError, DecoderError, UserError
from fmtbench.probes.determinism import remembered
from fmtbench.running.asking import answer, unanswered
from fmtbench.store.files import replacing
from fmtbench.store.folder import Planned, RunFolder
from fmtbench.store.provenance import provenance
from fmtbench.synthesis.recipe import SynthesisRecipe
from fmtbench.synthesis.steps import BrainstormStep, Rejected, SearchTask, Step, Triple, TripleStep
from fmtbench.types import Generation, Request, Watch

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Synthesis:
    """What to make, with which model, and where to write it."""

    recipe: SynthesisRecipe
    backbone: Backbone
    backend: Backend
    tasks: int
    """Tasks to keep."""
    triples: int
    """Triples to keep."""
    attempts: int = 5
    """Ask for at most this many times what is wanted, since replies may be rejected."""
    seed: int = 0
    output: Path
    config: str = ""
    """The resolved configuration as YAML text, kept beside the results."""


class Made(NamedTuple):
    """What was kept, and the counts of each step."""

    tasks: list[SearchTask]
    triples: list[Triple]
    counts: dict[str, dict[str, int]]


def synthesize(this: Synthesis, watch: Watch = lambda total, stream: stream) -> Made:
    """Bring the output folder up to the requested numbers.

    Before any weights are loaded, it raises `UserError` for a folder that holds something else or for prompts that exceed the
    backbone's context, and `BarredError` for a schema that the decoder cannot compile within its limits.
    """
    common: dict[str, Any] = {"recipe": this.recipe, "seed": this.seed, "backend": this.backend, "backbone": this.backbone}
    first = BrainstormStep(wanted=this.tasks, **common)
    second = TripleStep(wanted=this.triples, tasks=first.kept, **common)
    largest = [step.largest() for step in (first, second)]
    with RunFolder(this.output) as folder:
        _check_same(folder, this, largest)
        with Asker(this, largest, folder, watch) as asker:
            _collect(first, this.attempts, asker)
            if first.kept:
                _collect(second, this.attempts, asker)
        made = Made(first.kept, second.kept, {"tasks": first.counts(), "triples": second.counts()})
        _write(folder, made, [*first.rejected, *second.rejected])
        _finish(folder, this, made)
    return made


def _collect(step: Step, attempts: int, asker: Asker) -> None:
    """Ask and judge, round by round, until enough is kept or the attempts are used up."""
    most = attempts * step.requests_for(step.wanted)
    while (lacking := step.wanted - len(step.kept)) > 0 and step.asked < most:
        count = min(step.requests_for(lacking), most - step.asked)
        planned = [step.plan(number) for number in range(step.asked, step.asked + count)]
        replies = asker.replies(planned)
        for one in planned:
            step.judge(one, replies[one.request.key])
        step.asked += count


class Asker:
    """One journal and one engine, which starts only if the journal lacks a request."""

    def __init__(self, this: Synthesis, largest: Sequence[Request], folder: RunFolder, watch: Watch) -> None:
        self._this, self._largest, self._folder, self._watch = this, largest, folder, watch
        self._planned: list[Planned] = []
        self._session: Session | None = None

    def __enter__(self) -> Asker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._session is not None:
            self._session.close()

    def replies(self, planned: Sequence[Planned]) -> dict[str, Generation]:
        """The generations of these requests by key, from the journal if it has them; without token ids, to save memory."""
        todo = unanswered(planned, self._folder.done())
        if todo and self._session is None:
            self._session = self._start()
        logger.info("%d requests, %d to generate", len(planned), len(todo))
        self._planned += planned
        self._folder.write_requests(self._planned)
        if self._session is not None:
            answer(self._session, [(self._folder.append, todo)], self._watch)
        keys = {one.request.key for one in planned}
        found = (one for one in self._folder.generations() if one.key in keys)
        return {one.key: _masked(replace(one, token_ids=(), token_ends=())) for one in found}

    def _start(self) -> Session:
        """Check, compile, and write the manifest, so that a killed run explains itself too; then open the engine."""
        this = self._this
        _check_fits(this, self._largest)
        admission = compile_all(this.backend, this.backbone, {request.constraint for request in self._largest})
        if admission.barred:
            raise BarredError(admission.barred)
        facts = provenance([asdict(this.recipe)]) | {"status": "running", "grammars": admission.grammars}
        self._folder.write_config(this.config)
        self._folder.write_manifest(facts | {"recipe": _identity(this, self._largest)})
        session = SupervisedSession(this.backend, this.backbone)
        engine = session.facts()
        self._folder.write_manifest(self._folder.manifest() | {"engine": engine, "determinism": remembered(engine)})
        return session


def _masked(generation: Generation) -> Generation:
    """Check that a decoder masked the generation: every request here has a constraint, and there is no silent fall-back."""
    if generation.decoder == "none" and generation.finish_reason != "error":
        raise DecoderError(f"request {generation.key[:12]} has a constraint, but no decoder masked its generation")
    return generation


# -- checks before anything is loaded


def _identity(this: Synthesis, largest: Sequence[Request]) -> dict[str, Any]:
    """What all triples of a folder have in common; their number may change."""
    recipe = json.dumps(asdict(this.recipe), sort_keys=True)
    return {
        "synthesis": this.recipe.name,
        "prompts, lists and checks": hashlib.sha256(recipe.encode()).hexdigest(),
        "seed": this.seed,
        "backbone": this.backbone.name,
        "engine": [request.identity for request in largest],
    }


def _check_same(folder: RunFolder, this: Synthesis, largest: Sequence[Request]) -> None:
    """Raises `UserError` if the folder holds what another recipe made."""
    manifest = folder.manifest()
    held, wanted = manifest.get("recipe"), _identity(this, largest)
    if held is None and (manifest or (folder.path / "generations.jsonl").exists()):
        raise UserError(f"output={folder.path} holds a run of another kind: give another output=")
    if held is not None and (other := [name for name, value in wanted.items() if held.get(name) != value]):
        raise UserError(f"output={folder.path} holds triples of another recipe ({', '.join(other)}): give another output=")


def _check_fits(this: Synthesis, largest: Sequence[Request]) -> None:
    """Raises `UserError` if a prompt and its longest reply exceed the context. Only a tokenizer on this machine can tell."""
    if not isinstance(this.backend, MaskingBackend):
        return
    tokenizer = load_tokenizer(this.backbone.resolve())
    for step, request in zip(("brainstorm", "triple"), largest):
        if why := prompt(tokenizer, request).excess(this.backbone.context):
            raise UserError(
                f"backbone={this.backbone.name} is too small for synthesis={this.recipe.name}: {why}; "
                f"lower synthesis.{step}.max_tokens, or take a backbone with a longer context"
            )


# -- the files


def _write(folder: RunFolder, made: Made, rejected: Sequence[Rejected]) -> None:
    """Rewrite all three files from the journal."""
    _write_lines(folder.path / "tasks.jsonl", made.tasks)
    _write_lines(folder.path / "triples.jsonl", made.triples)
    _write_lines(folder.path / "rejected.jsonl", rejected)


def _write_lines(path: Path, records: Iterable[Any]) -> None:
    with replacing(path) as part, open(part, "w", encoding="utf-8", errors="backslashreplace") as lines:
        lines.writelines(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in records)


def _finish(folder: RunFolder, this: Synthesis, made: Made) -> None:
    for name, kept, wanted in (("tasks", made.tasks, this.tasks), ("triples", made.triples, this.triples)):
        if len(kept) < wanted:
            asked = made.counts[name]["requests"]
            logger.warning("%d of %d %s were kept after %d requests: raise attempts=", len(kept), wanted, name, asked)
    whole = len(made.tasks) == this.tasks and len(made.triples) == this.triples
    outcome: dict[str, Any] = {"status": "complete" if whole else "incomplete", "tasks": this.tasks, "triples": this.triples}
    outcome |= {"attempts": this.attempts, "counts": made.counts}
    manifest = folder.manifest()
    if manifest | outcome != manifest:
        folder.write_manifest(manifest | outcome | {"finished": datetime.now(UTC).isoformat(timespec="seconds")})
        folder.log(f"{outcome['status']}: {len(made.tasks)} tasks, {len(made.triples)} triples")
