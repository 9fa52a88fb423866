"""Calls of a tool: what a request offers, in whose syntax it is enforced, and which cells cannot call at all."""

from __future__ import annotations

from typing import Any

from fmtbench.answers import AnswerKind
from fmtbench.conditions.condition import Condition
from fmtbench.formats.tool import ToolFormat, definition
from fmtbench.running.job import Cell, Job
from fmtbench.running.thinking import why_unthinkable


def tools_offered(condition: Condition, kind: AnswerKind) -> dict[str, Any]:
    """The further argument of the chat template that offers the tool, in a pass that asks for a call; nothing in any other.

    It is among `Request.chat_template_kwargs`, so that it is in the key of the requests that have it, and in no other.
    """
    if not isinstance(condition.asking, ToolFormat):
        return {}
    layout = condition.layout
    return {"tools": [definition(layout, layout.arranged(kind))]}


def why_unaskable(job: Job, cell: Cell) -> str:
    """Why a cell cannot be asked on this backbone and backend, whatever its items; empty where it can."""
    return why_unthinkable(job, cell) or why_uncallable(job, cell)


def why_uncallable(job: Job, cell: Cell) -> str:
    """Why the model cannot be offered a tool."""
    condition = job.conditions[cell.condition]
    if condition.asked != "tool":
        return ""
    return job.backend.calls(job.backbone).why_not
