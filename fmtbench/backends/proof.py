"""The proof at an engine's start that constraints bind: some decoders fail silently into free text."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TypeVar

from fmtbench.backends.base import Session
from fmtbench.decoding.grammar import allows
from fmtbench.errors import DecoderError
from fmtbench.types import Constraint, Message, Request

PROBE_GRAMMAR = Constraint(
    kind="json_schema",
    source='{"type": "object", "properties": {"a": {"enum": ["qx", "zj"]}}, "required": ["a"], "additionalProperties": false}',
)
PROBE = Request(messages=(Message(role="user", content="Say hello."),), constraint=PROBE_GRAMMAR, max_tokens=16)

AnySession = TypeVar("AnySession", bound=Session)


def proven(session: AnySession, probe: Request = PROBE) -> AnySession:
    """The session, if a two-word grammar binds in it.

    Otherwise it is closed, and `DecoderError` raised.
    """
    with ExitStack() as on_failure:
        on_failure.callback(session.close)
        (proof,) = session.generate([probe])
        if proof.finish_reason != "stop" or not _obeyed(proof.text):
            raise DecoderError(
                f"the decoder did not bind: a two-word grammar gave {proof.text!r} ({proof.error or proof.finish_reason})"
            )
        on_failure.pop_all()
    return session


def _obeyed(text: str) -> bool:
    """Whether the grammar bound, up to white space, which some servers decide on (each engine checks its own rule)."""
    try:
        return allows(PROBE_GRAMMAR, json.dumps(json.loads(text)))
    except ValueError:
        return False
