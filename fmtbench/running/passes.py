"""Second passes: requests made from the replies of first passes, and the pairs that both form.

A condition with two passes shows the model its own first reply, and asks for it in a format, or for a new answer in prose. The
first pass is exactly the request of a condition with one (`free_cot`, or the one that is reconsidered), so that cells share it.
Both requests are planned, journalled and resumed in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

from fmtbench.conditions.condition import Condition
from fmtbench.conditions.prompt import Prompt
from fmtbench.running.calling import tools_offered
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
    arguments: Mapping[str, Any] = MappingProxyType({}),
) -> list[Planned]:
    """The second pass of every first pass that has a reply; where the engine failed there is nothing to go on from.

    It keeps the seed of the first pass: with another prompt that is another draw. It is not asked to think: its chat template
    has the `arguments` that are the backbone's own.
    """
    if condition.passes == 1:
        return []
    answered = [one for one in planned if not one.after and done.get(one.request.key)]
    usable = [one for one in answered if _usable(one, done)]
    return [_second(one, done[one.request.key], task, condition, prompt, identity, arguments) for one in usable]


def _usable(one: Planned, done: Mapping[str, Generation]) -> bool:
    return done[one.request.key].finish_reason != "error"


def _second(
    one: Planned,
    first: Generation,
    task: Task,
    condition: Condition,
    prompt: Prompt,
    identity: Callable[[Constraint | None], str],
    arguments: Mapping[str, Any],
) -> Planned:
    kind = task.kind(one.item)
    constraint = condition.constraint(kind)
    request = replace(
        one.request,
        messages=condition.follow(one.request.messages, first.text, kind, prompt),
        constraint=constraint,
        identity=identity(constraint),
        thinking=None,
        chat_template_kwargs=dict(arguments) | tools_offered(condition.closing, kind),
    )
    return Planned(item=one.item, sample=one.sample, request=request, after=one.request.key)


def answered(planned: Sequence[Planned], done: Mapping[str, Generation], condition: Condition) -> Iterator[Answered]:
    """Every item whose passes are all done, in the order of the plan; after a failed first pass there is no second."""
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
