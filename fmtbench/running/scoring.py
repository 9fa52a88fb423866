"""Read and score the journal: the second half of the pipeline, which needs no model and can be repeated."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from fmtbench.answers import AnswerKind
from fmtbench.backends.prefix import prefix_of
from fmtbench.conditions.condition import Condition
from fmtbench.decoding.json_mode import held_to_object, realised
from fmtbench.errors import DecoderError
from fmtbench.readers.plain import words
from fmtbench.readers.reply import LONGEST, THINKING
from fmtbench.running.job import Cell
from fmtbench.running.passes import Answered, answered
from fmtbench.running.verdicts import located, order_of, rationale, verdicts
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
    rows = [_row(cell, one, task.kind(one.planned.item), condition) for one in answered(planned, done, condition, task)]
    if (before := folder.count_rows()) > len(rows):
        logger.warning(
            "%s: rows.parquet has %d rows now, and had %d: %s", folder.path, len(rows), before, _why_fewer(planned, rows)
        )
    folder.write_rows(rows)
    _name_errors(folder, rows, done)
    _name_long(folder, rows)
    _finish(folder, planned, rows, list(done.values()))
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
    """The answer is in the last pass, the rationale in the first, or in the last of several tries; all passes cost tokens and
    time."""
    one, begun = answered.planned, prefix_of(answered.planned.request)
    passes = [_whole_reply(generation, begun) for generation in answered.generations]
    last = passes[-1]
    first = passes[0] if condition.rewrites else last
    reasoning, found = rationale(first.text, kind), located(last.text, condition.read(last, kind), kind)
    return Row(
        **verdicts(found, kind, [one.item.gold, *one.item.aliases])._asdict(),
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
        finish_reason=last.finish_reason,
        prompt_tokens=sum(one.prompt_tokens for one in passes),
        completion_tokens=sum(one.completion_tokens for one in passes),
        reasoning_tokens=count_tokens(first, reasoning, len(begun)),
        reasoning_words=len(words(reasoning)),
        text=last.text,
        request_key=one.request.key,
        seconds=sum(one.seconds for one in passes),
        stratum=one.item.stratum or None,
        realised_order=order_of(first.text, found, kind, reasoning) if first is last else None,
        **_thoughts(passes),
    )


def _thoughts(passes: Sequence[Generation]) -> dict[str, Any]:
    """The columns of what was thought before the replies; None where nothing was."""
    thought = "\n\n".join(one.thought for one in passes if one.thought)
    tokens = sum(one.thought_tokens for one in passes)
    return {"thought": thought or None, "thought_tokens": tokens or None, "thought_words": len(thought.split()) or None}


def _whole_reply(generation: Generation, begun: str) -> Generation:
    """What a request has begun and what was generated after it, read as one text. An engine's error is no reply, and a prefix
    alone is none either, whatever it says."""
    if not begun or generation.finish_reason == "error":
        return generation
    ends = tuple(end + len(begun) for end in generation.token_ends)
    return replace(generation, text=begun + generation.text, token_ends=ends)


def count_tokens(generation: Generation, reasoning: str, begun: int = 0) -> int | None:
    """Tokens that wrote at least one character of the rationale's words; None if it is not known which token wrote what.

    `reasoning` is what `rationale` leaves of the text, whether that was parsed or not. `begun`: characters that stood there
    before the first token.
    """
    if words(reasoning) and not generation.token_ends:
        return None
    starts = (begun, *generation.token_ends[:-1])
    return sum(bool(words(reasoning[start:end])) for start, end in zip(starts, generation.token_ends))


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


def _name_long(folder: RunFolder, rows: Sequence[Row]) -> None:
    """Say of how many replies only the two ends were read for marks."""
    if many := sum(len(row.text) > LONGEST for row in rows):
        logger.warning("%s: %d replies of more than %d characters were read from both ends", folder.path, many, LONGEST)


def _unasked(planned: Sequence[Planned], done: Sequence[Generation]) -> int:
    """How many replies thought first, whether that is kept apart or stands in their text, and were not asked to."""
    asked = {one.request.key for one in planned if one.request.thinking}
    return sum(bool(one.thought or one.thought_tokens or THINKING.match(one.text)) for one in done if one.key not in asked)


def _whitespace(planned: Sequence[Planned], done: Sequence[Generation]) -> list[str]:
    """What stands between the tokens of replies that were held to an object: on some servers that is their own business."""
    allowed = {one.request.key: one.request.constraint for one in planned if one.request.constraint}
    objects = {key: constraint for key, constraint in allowed.items() if held_to_object(constraint)}
    return sorted({realised(one.text, objects[one.key]) for one in done if one.key in objects and one.finish_reason == "stop"})


def _finish(folder: RunFolder, plan: Sequence[Planned], rows: Sequence[Row], done: Sequence[Generation]) -> None:
    """Write the cell's status into manifest and log, if it has changed."""
    planned = sum(not one.after for one in plan)
    statuses = dict(Counter(row.status for row in rows))
    failed = [generation for generation in done if generation.finish_reason == "error"]
    manifest, unasked = folder.manifest(), _unasked(plan, done)
    whole = len(rows) == planned > 0 and not failed
    outcome = {
        "status": "complete" if whole else "barred" if why_barred(manifest) else "incomplete",
        "decoder": sorted({generation.decoder for generation in done}),
        "whitespace": _whitespace(plan, done),
        "statuses": statuses,
        "transient": sum(generation.transient for generation in failed),
        "error": failed[-1].error if failed else "",
        "neutralised": sum(generation.neutralised for generation in done),
        "halves": sum(generation.halves for generation in done),
    } | ({"thought_unasked": unasked} if unasked else {})
    if manifest | outcome != manifest:
        folder.write_manifest(manifest | outcome | {"finished": datetime.now(UTC).isoformat(timespec="seconds")})
        counts = ", ".join(f"{name} {count}" for name, count in sorted(statuses.items()))
        folder.log(f"{outcome['status']}: {len(rows)} of {planned} scored; {counts}")
        if unasked:
            warning = f"{unasked} replies thought first, and their requests do not ask for that: the model or its server decides"
            folder.log(warning)
            logger.warning("%s: %s", folder.path, warning)
        if outcome["neutralised"]:
            warning = f"{outcome['neutralised']} special tokens of the tokenizer occurred in the items' text and were broken up"
            folder.log(warning)
            logger.warning("%s: %s", folder.path, warning)
