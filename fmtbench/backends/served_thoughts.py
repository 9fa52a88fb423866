"""Thoughts of a model behind OpenAI's chat API: how each kind of server is asked for one, and where it puts it.

A server that knows its model keeps the thought apart (`reasoning_content`, or `reasoning`); one that does not leaves it in the
text, between its marks. What a server does with a constraint while its model thinks is a setting of the server: so a constrained
reply that was to begin with a thought, and has none, is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from fmtbench.backbone import Backbone
from fmtbench.backends.proof import PROBE
from fmtbench.backends.reply import Reply
from fmtbench.backends.served_calls import other_arguments
from fmtbench.backends.thoughts import Thought, told_apart
from fmtbench.errors import UserError
from fmtbench.types import Request

PROBE_ROOM = 4096
"""Tokens for the thought of a model that always thinks, before the two words of the probe."""
SLACK = 64
"""Tokens that a server may write to end a thought whose budget is spent."""
EFFORT = "reasoning_effort"
"""The argument that OpenAI's own API takes, and so every server of that API."""


class Served(NamedTuple):
    """A reply, separated into thought and text."""

    thought: Thought
    text: str
    """Without the thought."""
    token_ends: tuple[int, ...]
    """Where each token ends in `text`, where the server tells."""


class Ways(NamedTuple):
    """What a kind of server takes."""

    arguments: str = ""
    """The field for the arguments of the chat template; empty where none but `reasoning_effort` can be given."""
    budget: str = ""
    """The field for the most tokens of a thought; empty where there is none."""
    masks_at_once: str = ""
    """Why a constraint cannot begin after the thought; empty if it can."""


WAYS = {
    "vllm": Ways("chat_template_kwargs", "thinking_token_budget"),
    "sglang": Ways("chat_template_kwargs"),
    "llamacpp": Ways("chat_template_kwargs", "thinking_budget_tokens", "llama.cpp holds a grammar from the first token on"),
    "openai": Ways(),
}


def check_arguments(dialect: str, backbone: Backbone) -> None:
    """Raises `UserError` for arguments of the chat template that this kind of server has no field for."""
    switch: Mapping[str, object] = backbone.thinking.switch if backbone.thinking else {}
    unsaid = sorted({*backbone.chat_template_kwargs, *switch} - {EFFORT})
    if unsaid and not WAYS[dialect].arguments:
        raise UserError(
            f"backend.dialect={dialect} has no field for {', '.join(unsaid)}, an argument of the chat template of backbone "
            f"{backbone.name}: such servers take {EFFORT} in its place, others backend.dialect=vllm, sglang or llamacpp"
        )


def why_unthinkable(dialect: str, *, budget: bool, masked: bool) -> str:
    """Why a reply cannot begin with such a thought; empty where it can."""
    ways = WAYS[dialect]
    if budget and not ways.budget:
        return f"backend.dialect={dialect} has no field for the tokens of a thought: use backend=hf, or thinking=free"
    if masked and ways.masks_at_once:
        return f"{ways.masks_at_once}, and no thought could come before it: use backend=hf, or thinking=masked"
    return ""


def thinking_fields(dialect: str, request: Request) -> dict[str, Any]:
    """What a request says about thinking; empty if nothing is set."""
    ways, arguments = WAYS[dialect], other_arguments(request)
    body: dict[str, Any] = {ways.arguments: arguments} if ways.arguments and arguments else dict(arguments)
    if request.thinking and request.thinking.tokens is not None:
        body[ways.budget] = request.thinking.tokens
    return body


def taken_apart(request: Request, reply: Reply) -> Served:
    """The thought, and the reply without it. A model may think although nobody asked it to."""
    if reply.thought or request.thinking is None:
        return Served(Thought(reply.thought, reply.thought_tokens), reply.text, reply.token_ends)
    thought, text = told_apart(reply.text, request.thinking)
    ends = reply.ends_in(text, thought=bool(thought))
    tokens = reply.thought_tokens or (sum(end == 0 for end in ends) if thought else 0)
    return Served(Thought(thought, tokens), text, ends)


def unkept(request: Request, thought: Thought) -> str:
    """What a server did differently from what was asked; empty if it obeyed."""
    if request.thinking is None:
        return ""
    most = request.thinking.tokens
    if most is not None and thought.tokens > most + SLACK:
        return f"the server let the model think for {thought.tokens} tokens, and its budget was {most}"
    if request.constraint is not None and not thought.text and not thought.tokens:
        return (
            "the model was to think before its constrained reply, and the server tells of no thought: it masked from the first "
            "token, or it does not keep thoughts apart, which `vllm serve` and SGLang do with --reasoning-parser"
        )
    return ""


def probe_of(backbone: Backbone) -> Request:
    """The probe for this backbone: told not to think, or with room for a thought if it always thinks."""
    style = backbone.thinking
    room = min(PROBE_ROOM, backbone.context // 2) if style and style.always else PROBE.max_tokens
    return replace(PROBE, chat_template_kwargs=backbone.chat_template_kwargs, max_tokens=room)
