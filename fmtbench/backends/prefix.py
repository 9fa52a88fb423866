"""A reply that its request has begun: a last message of the assistant's is no turn that is over, and the model goes on with it.

    prefix_of(request)     'First, 7 + 5'        what the reply to it continues; empty where it begins by itself

That is a convention and no field, so that the key of every other request stays what it is. A generation holds what was
generated; the reply is the beginning and that. An engine whose words for this are not known refuses such a request, since it
would take the message for a reply that was given, and begin another.
"""

from __future__ import annotations

from collections.abc import Sequence

from fmtbench.types import Message, Request


def parted(messages: Sequence[Message]) -> tuple[Sequence[Message], str]:
    """What is asked, and the beginning of the reply to it."""
    if messages and messages[-1].role == "assistant":
        return messages[:-1], messages[-1].content
    return messages, ""


def prefix_of(request: Request) -> str:
    return parted(request.messages)[1]
