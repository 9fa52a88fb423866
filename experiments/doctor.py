"""Is it my schema? A small experiment on your texts: does the schema hurt, which part of it, what to change, at what token cost?

    python -m experiments.doctor task=file task.file.path=invoices.jsonl schema.path=invoice.json
    python -m experiments.doctor task=file task.file.path=invoices.jsonl schema.model=mypackage:Invoice backbone=qwen2_5_7b
    python -m experiments.doctor task=file task.file.path=invoices.jsonl schema.path=invoice.json fail_below=-3      for CI
    python -m experiments.doctor task=[invoices] limit=100          a generated task, which has its own schema

The schema is compared with free text, step by step; then with itself after one change at a time; and with ways around it, such as
asking again with the validator's error. The page names the cheapest way that does no worse than free text. See conf/doctor.yaml.
It starts with a few items and doubles them until, judging by their own replies, they would show a difference of `detect` points
four times in five. The page is doctor.html and doctor.md in the results folder. The same command resumes an interrupted run.

With fail_below=-3 the exit code is 1 if the whole interval lies below -3 points. Too few items are not a failure: the page says
how many are needed.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from fmtbench.errors import BarredError, FmtbenchError, LossError, UserError

from .run import check_answered, log_cell, make_job
from .starting.start import start

if TYPE_CHECKING:
    import pandas as pd

    from fmtbench.analysis.statistics.diagnosis import Diagnosis, SchemaPart
    from fmtbench.running.job import Job

logger = logging.getLogger(__name__)


def main(config: DictConfig) -> None:
    check(config)
    job = make_job(config)
    parts = parts_of(config)
    # Imported late, so that --help and a mistake in the config do not wait for pandas and scipy.
    from .reporting.diagnosing import write
    from .reporting.own_items import announce

    job, untried = that_change_something(job, parts)
    announce(job)
    found, answered = examined(config, job, parts)
    untried |= {part.name: answered.barred[part.condition] for part in parts if part.condition in answered.barred}
    write(Path(config.output or job.results / config.name), job, found, answered.rows, untried)
    check_allowed(found, config.fail_below)


def check(config: DictConfig) -> None:
    """Raises `UserError` for mistakes that Hydra's types cannot catch."""
    if not 0 < config.detect < 100:
        raise UserError(f"detect={config.detect:g}: give a difference in points, above 0 and below 100, such as detect=3")
    if config.fail_below is not None and not -100 < config.fail_below <= 0:
        raise UserError(f"fail_below={config.fail_below:g}: give points from 0 down to -100, such as fail_below=-3")
    if config.shards != 1:
        raise UserError(f"shards={config.shards}: a diagnosis needs all arms in one job; leave shards out")
    if len(config.task) != 1:
        given = f"the tasks are {', '.join(config.task)}" if config.task else "no task is chosen"
        raise UserError(f"{given}: give one whose answers are records, such as task=file with task.file.path= and schema.path=")


def parts_of(config: DictConfig) -> list[SchemaPart]:
    """Raises `UserError` for a malformed part, or if a condition that the design needs is missing."""
    from pydantic import ValidationError

    from fmtbench.analysis.statistics.diagnosis import STEPS, SchemaPart
    from fmtbench.conditions.axes import REFERENCE

    found: Any = OmegaConf.to_container(config.parts, resolve=True)
    parts = []
    for name, node in found.items():
        try:
            parts.append(SchemaPart(name=str(name), **(node if isinstance(node, dict) else {})))
        except (ValidationError, TypeError) as error:
            raise UserError(f"parts.{name}={node}: give condition, fault and change, as in conf/doctor.yaml") from error
    needed = [REFERENCE, *STEPS, *(part.condition for part in parts)]
    if lacking := [name for name in needed if name not in config.condition]:
        raise UserError(f"condition= lacks {', '.join(dict.fromkeys(lacking))}: leave condition out, or add them")
    return parts


def that_change_something(job: Job, parts: list[SchemaPart]) -> tuple[Job, dict[str, str]]:
    """The job without the conditions that change nothing in this schema or clash with it, and the reason for each left out.

    Raises `UserError` if the answers are not records.
    """
    from fmtbench.analysis.statistics.diagnosis import OWN, STEPS
    from fmtbench.answers import Record
    from fmtbench.answers.spelling import squeeze
    from fmtbench.conditions.alike import alike
    from fmtbench.conditions.axes import REFERENCE

    (task,) = {cell.task for cell in job.cells}
    kind = job.tasks[task].kind(job.tasks[task].items()[0])
    if not isinstance(kind, Record):
        raise UserError(f"task {task}: its answers are not records: give task=file with task.file.path= and schema.path=")
    own, untried, left_out = job.conditions[OWN], dict[str, str](), set[str]()
    taken = {squeeze(name) for name in kind.tree.members}
    further = {cell.condition for cell in job.cells} - {REFERENCE, *STEPS, *(part.condition for part in parts)}
    tried = [(part.name, part.condition) for part in parts] + [(name, name) for name in sorted(further)]
    for name, asked in tried:
        condition = job.conditions[asked]
        if named := [stage for stage in condition.layout.stages if squeeze(stage) in taken]:
            untried[name] = f"this schema has a field {named[0]!r} of its own"
        elif asked not in further and alike(condition, own, kind):
            untried[name] = "this schema has nothing for it to change"
        left_out |= {asked} if name in untried else set()
    return replace(job, cells=[cell for cell in job.cells if cell.condition not in left_out]), untried


class AnsweredArms(NamedTuple):
    """The rows of a job, and the reason why a condition has none, by condition."""

    rows: pd.DataFrame
    barred: dict[str, str]


def examined(config: DictConfig, job: Job, parts: list[SchemaPart]) -> tuple[Diagnosis, AnsweredArms]:
    """Ask a few items, then more until there are as many as their own replies call for, at most doubling each time.

    How much arms disagree is learnt as replies come in; a disagreement that no item has shown yet is taken to be large.
    """
    from fmtbench.analysis.statistics.diagnosis import diagnose

    (task,) = {cell.task for cell in job.cells}
    available = len(job.tasks[task].items())
    most = min(available, config.limit or available)
    size = min(config.pilot_items, most)
    while True:
        answered = ask(replace(job, limit=size))
        found = diagnose(answered.rows, parts, config.detect / 100)
        wanted = min(most, 2 * size, found.needed or most)
        if wanted <= size:
            return found, answered
        logger.info("%d items ask for %s to show %g points: %d are asked next", size, found.needed, config.detect, wanted)
        size = wanted


def ask(job: Job) -> AnsweredArms:
    """Run the job. Raises `BarredError` if free text, the schema or a step between them has no replies."""
    from fmtbench.analysis.rows.broken import broken_notes, without_broken
    from fmtbench.analysis.rows.frame import load_rows
    from fmtbench.analysis.statistics.diagnosis import STEPS
    from fmtbench.conditions.axes import REFERENCE
    from fmtbench.running.pipeline import finished
    from fmtbench.store.folder import why_barred

    from .reporting.progress import progress

    for cell, scored in finished(job, watch=progress):
        log_cell(cell, scored)
    check_answered(job)
    folders = {cell: cell.folder(job.results) for cell in job.cells}
    barred = {
        cell.condition: f"{cell.condition} is barred: {why}" for cell in folders if (why := why_barred(folders[cell].manifest()))
    }
    if lacking := [barred[name] for name in (REFERENCE, *STEPS) if name in barred]:
        raise BarredError(lacking[0].replace(" is barred", " is barred, and without it there is no diagnosis", 1))
    rows = load_rows([folder.path for cell, folder in folders.items() if cell.condition not in barred], mixed=True)
    kept = without_broken(rows)
    notes = dict.fromkeys(set(rows["condition"]) - set(kept["condition"]), "the engine failed on too many of its items")
    if lacking := [name for name in (REFERENCE, *STEPS) if name in notes]:
        raise FmtbenchError(f"{broken_notes(rows)[0]}: without {lacking[0]} there is no diagnosis")
    return AnsweredArms(kept, barred | notes)


def check_allowed(found: Diagnosis, fail_below: float | None) -> None:
    """Raises `LossError` if the schema costs more than is allowed."""
    whole = found.whole
    if fail_below is not None and 100 * whole.high < fail_below:
        raise LossError(
            f"under the schema {-100 * whole.value:.1f} points fewer fields are right, at least {-100 * whole.high:.1f} with 95% "
            f"confidence: allowed by fail_below={fail_below:g} are {-fail_below:g}"
        )


if __name__ == "__main__":
    start("doctor", main)
