"""Read and score the journal: the second half of the pipeline, which needs no model and can be repeated."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from fmtbench.answers import AnswerKind
from fmtbench.conditions.condition import Condition
from fmtbench.errors import DecoderError
from fmtbench.readers.latent import read_latent
from fmtbench.readers.marked import read_marked
from fmtbench.readers.plain import rationale_left, words
from fmtbench.readers.reply import reply_place
from fmtbench.running.job import Cell
from fmtbench.running.passes import Answered, answered
from fmtbench.store.folder import Planned, RunFolder, why_barred
from fmtbench.tasks.base import Task
from fmtbench.types import Generation, Row, whole

logger = logging.getLogger(__name__)


def score(folder: RunFolder, cell: Cell, task: Task, condition: Condition) -> list[Row]:
    """Read and score what the journal has for the plan. Needs no model, and gives the same rows every time."""
    planned = folder.requests()
    wanted = {one.request.key for one in planned}
    done = {generation.key: _storable(generation) for generation in folder.generations() if generation.key in wanted}
    _check_masked(folder, planned, done)
    rows = [_row(cell, one, task.kind(one.planned.item), condition) for one in answered(planned, done, condition)]
    if (before := folder.count_rows()) > len(rows):
        logger.warning(
            "%s: rows.parquet has %d rows now, and had %d: %s", folder.path, len(rows), before, _why_fewer(planned, rows)
        )
    folder.write_rows(rows)
    _name_errors(folder, rows, done)
    _finish(folder, sum(not one.after for one in planned), rows, list(done.values()))
    return rows


def _storable(generation: Generation) -> Generation:
    """A reply that was journalled before halves of character pairs were replaced as they came in."""
    text, halves = whole(generation.text)
    return replace(generation, text=text, halves=halves) if halves else generation


def _why_fewer(planned: Sequence[Planned], rows: Sequence[Row]) -> str:
    if len(rows) == sum(not one.after for one in planned):
        return "fewer items are planned; the replies to the others stay in the journal"
    return "replies are missing from the journal; the run's command asks again"


def _row(cell: Cell, answered: Answered, kind: AnswerKind, condition: Condition) -> Row:
    """The answer is in the last pass, the rationale in the first; all passes cost tokens and time."""
    one, passes = answered
    first, last = passes[0], passes[-1]
    found = condition.read(last, kind)
    marked, latent = read_marked(last.text, kind), read_latent(last.text, kind)
    rationale = rationale_left(first.text[: reply_place(first.text, kind)[1]])
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
        marked_answer=marked.answer,
        marked_correct=kind.same(marked.answer, one.item.gold),
        latent_answer=latent.answer,
        latent_correct=kind.same(latent.answer, one.item.gold),
        finish_reason=last.finish_reason,
        prompt_tokens=sum(one.prompt_tokens for one in passes),
        completion_tokens=sum(one.completion_tokens for one in passes),
        reasoning_tokens=count_tokens(first, rationale),
        reasoning_words=len(words(rationale)),
        text=last.text,
        request_key=one.request.key,
        seconds=sum(one.seconds for one in passes),
    )


def count_tokens(generation: Generation, rationale: str) -> int | None:
    """Tokens that wrote at least one character of the rationale's words; None if it is not known which token wrote what.

    `rationale` is what `rationale_left` leaves of the text, whether that was parsed or not.
    """
    if words(rationale) and not generation.token_ends:
        return None
    starts = (0, *generation.token_ends[:-1])
    return sum(bool(words(rationale[start:end])) for start, end in zip(starts, generation.token_ends))


def _check_masked(folder: RunFolder, planned: Sequence[Planned], done: Mapping[str, Generation]) -> None:
    """No silent fall-back: a request with a constraint must have been masked."""
    for one in planned:
        generation = done.get(one.request.key)
        if one.request.constraint and generation and generation.decoder == "none" and generation.finish_reason != "error":
            raise DecoderError(f"{folder.path}: item {one.item.id} has a constraint, but no decoder masked its generation")


def _name_errors(folder: RunFolder, rows: Sequence[Row], done: Mapping[str, Generation]) -> None:
    """Name the first three items of a cell that the engine failed on, and why."""
    failed = [f"{row.item_id}: {error}" for row in rows if (error := done[row.request_key].error)]
    for line in failed[:3]:
        logger.warning("%s: %s", folder.path, line)
    if failed[3:]:
        logger.warning("%s: and %d more", folder.path, len(failed[3:]))


def _finish(folder: RunFolder, planned: int, rows: Sequence[Row], done: Sequence[Generation]) -> None:
    """Write the cell's status into manifest and log, if it has changed."""
    statuses = dict(Counter(row.status for row in rows))
    failed = [generation for generation in done if generation.finish_reason == "error"]
    manifest = folder.manifest()
    whole = len(rows) == planned and not failed
    outcome = {
        "status": "complete" if whole else "barred" if why_barred(manifest) else "incomplete",
        "decoder": sorted({generation.decoder for generation in done}),
        "statuses": statuses,
        "transient": sum(generation.transient for generation in failed),
        "error": failed[-1].error if failed else "",
        "neutralised": sum(generation.neutralised for generation in done),
        "halves": sum(generation.halves for generation in done),
    }
    if manifest | outcome != manifest:
        folder.write_manifest(manifest | outcome | {"finished": datetime.now(UTC).isoformat(timespec="seconds")})
        counts = ", ".join(f"{name} {count}" for name, count in sorted(statuses.items()))
        folder.log(f"{outcome['status']}: {len(rows)} of {planned} scored; {counts}")
        if outcome["neutralised"]:
            warning = f"{outcome['neutralised']} special tokens of the tokenizer occurred in the items' text and were broken up"
            folder.log(warning)
            logger.warning("%s: %s", folder.path, warning)
