"""Second passes: requests that are made from finished first passes, and the pairs that they end in.

A condition with two passes asks for free text first (the very request of `free_cot`, so cells share it), and then shows
the model its own reply and asks for it in a format. Both requests are planned, journalled and resumed alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from fmtbench.conditions.condition import Condition
from fmtbench.conditions.prompt import Prompt
from fmtbench.store.folder import Planned
from fmtbench.tasks.base import Task
from fmtbench.types import Constraint, Generation


class Answered(NamedTuple):
    """The last request of an item, and the generations of all its passes in order."""

    planned: Planned
    generations: tuple[Generation, ...]


def second_passes(
    planned: Sequence[Planned],
    done: Mapping[str, Generation],
    task: Task,
    condition: Condition,
    prompt: Prompt,
    identity: Callable[[Constraint | None], str],
) -> list[Planned]:
    """The second pass of every first pass that has a reply; what the engine failed on has none to convert.

    Its seed is the first pass's own, which another prompt turns into another draw.
    """
    if condition.passes == 1:
        return []
    answered = [one for one in planned if not one.after and done.get(one.request.key)]
    return [_second(one, done[one.request.key], task, condition, prompt, identity) for one in answered if _usable(one, done)]


def _usable(one: Planned, done: Mapping[str, Generation]) -> bool:
    return done[one.request.key].finish_reason != "error"


def _second(
    one: Planned,
    first: Generation,
    task: Task,
    condition: Condition,
    prompt: Prompt,
    identity: Callable[[Constraint | None], str],
) -> Planned:
    kind = task.kind(one.item)
    constraint = condition.constraint(kind)
    request = replace(
        one.request,
        messages=condition.follow(one.request.messages, first.text, kind, prompt),
        constraint=constraint,
        identity=identity(constraint),
    )
    return Planned(item=one.item, sample=one.sample, request=request, after=one.request.key)


def answered(planned: Sequence[Planned], done: Mapping[str, Generation], condition: Condition) -> Iterator[Answered]:
    """Every item whose passes are all done, in the order of the plan; a failed first pass ends its item."""
    second = {(one.item.id, one.sample): one for one in planned if one.after}
    for one in planned:
        first = done.get(one.request.key)
        if one.after or first is None:
            continue
        following = second.get((one.item.id, one.sample))
        if condition.passes == 1 or first.finish_reason == "error":
            yield Answered(one, (first,))
        elif following is not None and following.request.key in done:
            yield Answered(following, (first, done[following.request.key]))
