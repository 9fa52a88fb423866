"""What a server's replies are worth: how each ended, and whether its errors are believed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from fmtbench.backends.dialects import Dialect, keeps
from fmtbench.backends.reply import Reply
from fmtbench.backends.served_calls import keeps_call, offers_tools
from fmtbench.errors import ServerError
from fmtbench.types import Constraint, FinishReason, Generation, Request

UNBELIEVED = 10
ENDS = ("stop", "length", "content_filter")
"""Finish reasons that say something about the request; any other means that the server is in trouble."""


def believed(answers: Iterable[Generation], url: str) -> Iterator[Generation]:
    """Hold errors back until the server has answered anything: one that turns everything down is not believed.

    Raises `ServerError` after `UNBELIEVED` of them; where fewer were asked, all are transient.
    """
    held: list[Generation] = []
    stream = iter(answers)
    for one in stream:
        if one.finish_reason != "error":
            yield from (*held, one)
            yield from stream
            return
        held.append(one)
        if len(held) == UNBELIEVED:
            raise ServerError(f"{url} turns down every request, the first {UNBELIEVED} of them, the last with: {one.error}")
    yield from (replace(one, transient=True) for one in held)


def judge(dialect: Dialect, request: Request, reply: Reply, text: str) -> tuple[FinishReason, str]:
    """How the reply ended; an error if the server ended it in any other way, or if its text, less the thought, breaks its
    grammar. One that ends within its thought was held to none."""
    reason = reply.choices[0].finish_reason
    if reason == "length":
        return "length", ""
    if reason != "stop":
        return "error", f"the server ended the request with finish reason {reason!r}"
    unbegun = request.thinking is not None and not text
    if request.constraint is None or unbegun or _keeps(dialect, request, request.constraint, text):
        return "stop", ""
    return "error", "the finished text does not keep to its grammar"


def _keeps(dialect: Dialect, request: Request, constraint: Constraint, text: str) -> bool:
    return keeps_call(constraint, text) if offers_tools(request) else keeps(dialect, constraint, text)
