"""Calls of a tool behind OpenAI's chat API: offered in `tools`, demanded by `tool_choice`, sent back in `tool_calls`.

A server takes the model's own syntax apart. What comes back is put together again in one syntax, its arguments as the server sent
them, so that every reader reads the replies of servers as it reads any other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fmtbench.decoding.grammar import allows
from fmtbench.formats.calls.hermes import served_text
from fmtbench.formats.tool import arguments_text
from fmtbench.types import Constraint, Request

TOOLS = "tools"


def tool_fields(dialect: str, request: Request) -> dict[str, Any]:
    """What a request says of tools; nothing where it offers none. One tool is offered, so that `required` demands that one."""
    offered = request.chat_template_kwargs.get(TOOLS)
    if not offered:
        return {}
    if request.constraint is None:
        return {TOOLS: offered, "tool_choice": "auto"}
    if dialect == "openai":
        (one,) = offered
        held = one["function"] | {"strict": True, "parameters": json.loads(request.constraint.source)}
        offered = [one | {"function": held}]
    return {TOOLS: offered, "tool_choice": "required"}


def offers_tools(request: Request) -> bool:
    return TOOLS in request.chat_template_kwargs


def other_arguments(request: Request) -> dict[str, Any]:
    """The further arguments of the chat template that are not tools."""
    return {name: value for name, value in request.chat_template_kwargs.items() if name != TOOLS}


def keeps_call(constraint: Constraint, text: str) -> bool:
    """Whether a text is one call whose arguments keep to the constraint; the white space is the server's business."""
    written = arguments_text(text)
    return written is not None and allows(constraint, written)


def with_calls(content: Any, calls: Any) -> Any:
    """The content of a message and the calls that the server took out of it, as one text; the content where there are none."""
    if not isinstance(calls, list):
        return content
    texts = [text for call in calls if isinstance(call, Mapping) and (text := _call_text(call.get("function")))]
    if not texts:
        return content
    return "\n".join([*([content.rstrip()] if isinstance(content, str) and content.strip() else []), *texts])


def _call_text(function: Any) -> str:
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        return ""
    arguments = function.get("arguments")
    written = arguments if isinstance(arguments, str) else json.dumps(arguments or {}, ensure_ascii=False)
    return served_text(function["name"], written)
