"""What a server's reply amounts to: text and thought separated, and compared with what was asked."""

from __future__ import annotations

import math

from fmtbench.backends.dialects import Dialect
from fmtbench.backends.reply import Reply
from fmtbench.backends.served_thoughts import taken_apart, unkept
from fmtbench.backends.verdict import ENDS, judge
from fmtbench.types import Generation, Request


def generation_of(request: Request, reply: Reply, dialect: Dialect, seconds: float, neutralised: int) -> Generation:
    """An error where the reply breaks the constraint, thinks when told not to, or lacks the probabilities that were asked for."""
    thought, text, token_ends = taken_apart(request, reply)
    (reason, error), transient = judge(dialect, request, reply, text), reply.choices[0].finish_reason not in ENDS
    if reason == "stop" and (strange := unkept(request, thought)):
        reason, error = "error", strange
    if request.logprobs and (not reply.logprobs or any(map(math.isnan, reply.logprobs))):
        reason, error = "error", "the server gave no log-probabilities, or some that are not numbers"
    return Generation(
        key=request.key,
        text=text,
        token_ids=reply.token_ids,
        token_ends=token_ends,
        logprobs=reply.logprobs if request.logprobs else (),
        finish_reason=reason,
        prompt_tokens=reply.counts.prompt_tokens,
        seconds=seconds,
        error=error,
        transient=transient,
        halves=reply.halves,
        neutralised=neutralised,
        counted_tokens=0 if reply.token_ids else reply.counts.completion_tokens,
        thought=thought.text,
        thought_tokens=thought.tokens,
    )
