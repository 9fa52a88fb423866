"""Later passes: requests made from replies, and the items whose passes are all done.

A condition with two passes shows the model its own first reply, and asks for it in a format, or for a new answer in prose. One
with a remedy tries again where the reply breaks its contract: with the validator's error, or by a new draw. Whether a reply is
right plays no part: nothing here sees a gold answer but to write it into rows.

The first pass is exactly the request of a condition with one (`free_cot`, or the one that is reconsidered or tried again), so
that cells share it. All requests are planned, journalled and resumed in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

from fmtbench.answers import AnswerKind
from fmtbench.conditions.complaint import complaint, keeps
from fmtbench.conditions.condition import Condition
from fmtbench.conditions.prompt import Prompt
from fmtbench.running.asking import request_seed
from fmtbench.running.calling import tools_offered
from fmtbench.store.folder import Planned
from fmtbench.tasks.base import Task
from fmtbench.types import Constraint, Generation, Message, Request

Replies = Sequence[Generation]
"""Of one item and sample, in the order of its passes."""


class Answered(NamedTuple):
    """The last request of an item, and the generations of all its passes in order."""

    planned: Planned
    generations: tuple[Generation, ...]


@dataclass(frozen=True, kw_only=True)
class GoingOn:
    """What is needed to go on from the replies of a cell."""

    task: Task
    condition: Condition
    prompt: Prompt
    seed: int
    identity: Callable[[Constraint | None], str]
    """Of whoever writes a second pass."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Its chat template's own."""

    def after(self, first: Planned, last: Planned, replies: Replies) -> Planned | None:
        """The pass that follows these replies; None where none does."""
        kind = self.task.kind(first.item)
        if not due(self.condition, kind, replies):
            return None
        request = (
            self._tried(first, last, replies, kind) if self.condition.remedy != "none" else self._second(first, replies, kind)
        )
        return Planned(item=first.item, sample=first.sample, request=request, after=last.request.key)

    def _second(self, first: Planned, replies: Replies, kind: AnswerKind) -> Request:
        """It keeps the seed of the first pass: with another prompt that is another draw. It is not asked to think."""
        constraint = self.condition.constraint(kind)
        return replace(
            first.request,
            messages=self.condition.follow(first.request.messages, replies[0].text, kind, self.prompt),
            constraint=constraint,
            identity=self.identity(constraint),
            thinking=None,
            chat_template_kwargs=dict(self.arguments) | tools_offered(self.condition.closing, kind),
        )

    def _tried(self, first: Planned, last: Planned, replies: Replies, kind: AnswerKind) -> Request:
        """The error is said after all that was said before; a new draw is the first request with another seed."""
        if self.condition.remedy == "first_valid":
            return replace(first.request, seed=try_seed(self.seed, first, len(replies)))
        said = self.prompt.retry.replace("{error}", complaint(self.condition, replies[-1], kind))
        turns = (Message(role="assistant", content=replies[-1].text), Message(role="user", content=said))
        return replace(last.request, messages=(*last.request.messages, *turns))


def try_seed(seed: int, first: Planned, number: int) -> int:
    """That of a further draw: none of another item, sample or try."""
    return request_seed(seed, f"{first.item.id}/try{number}", first.sample)


def due(condition: Condition, kind: AnswerKind, replies: Replies) -> bool:
    """Whether another pass follows these replies; where the engine failed there is nothing to go on from."""
    if len(replies) >= condition.passes or replies[-1].finish_reason == "error":
        return False
    return condition.remedy == "none" or not keeps(condition, replies[-1], kind)


def later_passes(planned: Sequence[Planned], done: Mapping[str, Generation], going_on: GoingOn) -> list[Planned]:
    """Every pass that follows the replies that are there, as far as they go."""
    if going_on.condition.passes == 1:
        return []
    first = [one for one in planned if not one.after]
    return [later for one in first for later in _passes(one, done, partial(going_on.after, one))[0][1:]]


def answered(planned: Sequence[Planned], done: Mapping[str, Generation], condition: Condition, task: Task) -> Iterator[Answered]:
    """Every item whose passes are all done, in the order of the plan; after a failed pass there is no other."""
    follows = {(one.item.id, one.sample, one.after): one for one in planned if one.after}
    for one in planned:
        if one.after:
            continue
        kind = task.kind(one.item)

        def following(last: Planned, replies: Replies, kind: AnswerKind = kind) -> Planned | None:
            there = follows.get((last.item.id, last.sample, last.request.key))
            return there if there and due(condition, kind, replies) else None

        asked, replies = _passes(one, done, following)
        if replies and len(replies) == len(asked) and not due(condition, kind, replies):
            yield Answered(asked[-1], tuple(replies))


def _passes(
    first: Planned, done: Mapping[str, Generation], following: Callable[[Planned, Replies], Planned | None]
) -> tuple[list[Planned], list[Generation]]:
    """The passes of an item as far as there are replies; the last request may have none yet."""
    asked, replies = [first], list[Generation]()
    while len(replies) < len(asked) and (reply := done.get(asked[-1].request.key)) is not None:
        replies.append(reply)
        if further := following(asked[-1], replies):
            asked.append(further)
    return asked, replies
