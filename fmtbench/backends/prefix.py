"""A reply that its request has begun: a last message from the assistant is not a finished turn, and the model continues it.

    prefix_of(request)     'First, 7 + 5'        what the reply to it continues; empty where it begins by itself

This is a convention and not a field, so that the keys of all other requests stay the same. A generation holds what was
generated; the reply is the beginning followed by that. An engine that is not known to support this refuses such a request, since
it would take the message for a finished reply, and begin another.
"""

from __future__ import annotations

from collections.abc import Sequence

from fmtbench.types import Message, Request


def parted(messages: Sequence[Message]) -> tuple[Sequence[Message], str]:
    """What is asked, and the beginning of the reply."""
    if messages and messages[-1].role == "assistant":
        return messages[:-1], messages[-1].content
    return messages, ""


def prefix_of(request: Request) -> str:
    return parted(request.messages)[1]
