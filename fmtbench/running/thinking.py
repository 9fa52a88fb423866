"""Whether a cell's requests think: what the condition asks for, in the way that the backbone does it."""

from __future__ import annotations

from typing import Any

from fmtbench.backbone import Backbone
from fmtbench.backends.base import Backend
from fmtbench.conditions.condition import Condition
from fmtbench.running.job import Cell, Job
from fmtbench.thinking import ThinkingStyle

NOTHING_SAID = ThinkingStyle()
"""The marks of a backbone that states none: its cells that would think are refused, and their requests have keys of their own."""


def asked_to_think(backbone: Backbone, condition: Condition) -> dict[str, Any]:
    """The fields of a request that say so: none that is set where neither condition nor backbone speaks of thinking."""
    given = backbone.chat_template_kwargs
    if condition.thinking == "off":
        return {"chat_template_kwargs": given}
    style = backbone.thinking or NOTHING_SAID
    thinking = None if condition.thinking == "masked" else style.thought(condition.thinking_tokens)
    return {"chat_template_kwargs": style.arguments(given), "thinking": thinking}


def why_unthinkable(job: Job, cell: Cell) -> str:
    """Why a cell cannot think as its condition asks; empty where it can."""
    condition = job.conditions[cell.condition]
    return _why_not_this_backbone(job, condition) or _why_not_this_engine(job.backend, condition)


def _why_not_this_engine(backend: Backend, condition: Condition) -> str:
    if condition.thinking in ("off", "masked"):
        return ""
    masked = condition.opening.enforced != "no" or condition.opening.budget == "hard"
    return backend.why_unthinkable(budget=condition.thinking == "budget", masked=masked)


def _why_not_this_backbone(job: Job, condition: Condition) -> str:
    style, name = job.backbone.thinking, job.backbone.name
    if style is None:
        return "" if condition.thinking == "off" else _needs_style(condition.thinking, name)
    if condition.thinking == "off" and style.always:
        return (
            f"thinking=off, and backbone {name} always thinks, since nothing switches it off (backbone.thinking.switch is "
            "empty): use conditions with thinking=free, budget or masked"
        )
    tokens, most = condition.thinking_tokens, job.sampling.max_tokens
    if tokens is not None and tokens >= most:
        return f"thinking_tokens={tokens} leaves no token for the reply: set sampling.max_tokens={most} well above it"
    return ""


def _needs_style(level: str, name: str) -> str:
    return (
        f"thinking={level} needs a backbone that thinks, and backbone {name} does not say how it does: choose one that does, "
        "such as qwen3_8b, or state backbone.thinking"
    )
