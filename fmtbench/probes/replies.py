"""The replies of a cell as probes see them: the request, the reply, and which part of the reply each token wrote.

A token belongs to the part of the first character that it writes, or of the next character if it writes none, like the first half
of a character; the token that ends a reply is its `end`. A token that writes into two parts is a `bridge`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fmtbench.answers import AnswerKind
from fmtbench.backends.prefix import prefix_of
from fmtbench.backends.tokens import decode_with_ends
from fmtbench.conditions.condition import Condition
from fmtbench.formats.parts import PartName
from fmtbench.store.folder import Planned, RunFolder
from fmtbench.tasks.base import Task
from fmtbench.types import Generation, Request, whole

Problem = Literal["engine_error", "no_token_ids", "not_reproduced", "special_inside", "too_long", "left_grammar", "barred"]
"""Why a reply has no numbers. `no_token_ids`: the server returns none. `not_reproduced`: its tokens do not spell its text with
this tokenizer, or its prompt had another number of tokens. `special_inside`: it has a special token before its end. `too_long`:
it exceeds the backbone's context. `left_grammar`: the engine allowed a token that the mask forbids. `barred`: the decoder cannot
compile its grammar."""


@dataclass(frozen=True, kw_only=True)
class ProbedReply:
    """One reply of a cell."""

    planned: Planned
    generation: Generation
    condition: Condition
    """The condition of the pass that wrote this reply."""
    kind: AnswerKind
    parts: tuple[PartName, ...]
    """The part of each token; empty if there are no token ends."""
    bridges: tuple[bool, ...]

    @property
    def request(self) -> Request:
        return self.planned.request


def cell_replies(folder: RunFolder, task: Task, condition: Condition) -> Iterator[ProbedReply]:
    """The planned replies that are in the journal, in the order of the plan, including engine errors.

    Greedy samples of an item are one request, and so one reply. Second passes written by another backbone are left out.
    """
    said = {one.key: one for one in folder.generations()}
    for one in folder.requests():
        if one.after and condition.formatter == "other":
            continue
        if generation := said.pop(one.request.key, None):
            yield probed(one, generation, condition.closing if one.after else condition.opening, task)


def probed(planned: Planned, generation: Generation, condition: Condition, task: Task) -> ProbedReply:
    text, _ = whole(generation.text)
    kind = task.kind(planned.item)
    begun = prefix_of(planned.request)
    parts = condition.divide(begun + text, kind)[len(begun) :] if generation.token_ends else []
    return ProbedReply(
        planned=planned,
        generation=generation,
        condition=condition,
        kind=kind,
        parts=token_parts(parts, generation),
        bridges=tuple(len(set(parts[start:end])) > 1 for start, end in places(generation)),
    )


def places(generation: Generation) -> list[tuple[int, int]]:
    """Start and end in the text of what each token wrote."""
    return list(zip((0, *generation.token_ends[:-1]), generation.token_ends))


def token_parts(parts: Sequence[PartName], generation: Generation) -> tuple[PartName, ...]:
    """The part of each token, from the parts of the characters."""
    found: list[PartName] = [parts[min(start, len(parts) - 1)] if parts else "scaffold" for start, _ in places(generation)]
    if generation.finish_reason == "stop" and found:
        start, end = places(generation)[-1]
        if start == end:
            found[-1] = "end"
    return tuple(found)


def problem_of(one: ProbedReply, tokenizer: Any) -> Problem | None:
    """Why a reply's tokens cannot be used at all; None if they can."""
    generation = one.generation
    if generation.finish_reason == "error":
        return "engine_error"
    if not generation.token_ids or len(generation.token_ends) != len(generation.token_ids):
        return "no_token_ids"
    if max(generation.token_ids) >= len(tokenizer):
        return "not_reproduced"
    spelled = decode_with_ends(tokenizer, generation.token_ids)
    return None if spelled == (generation.text, generation.token_ends) else "not_reproduced"
