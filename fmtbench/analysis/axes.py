"""Conditions as points in the factorial design, as plain dictionaries: which axes differ, and which cell lies between.

    axes = {"free_cot": {"reasoning": "free"}, "json_schema": {"reasoning": "free", "asked": "json", "enforced": "schema"}}

The dictionaries are those of `conf/condition/*.yaml`, or of a cell's own `config.yaml`; what is not there has its default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

AXES = ("wording", "asking", "masking", "order", "length")
"""The components that axes of a condition make; truncation and reading come from the replies."""

Levels = tuple[Any, ...]
"""One level for each of `AXES`."""

DEFAULTS: dict[str, Any] = {
    "reasoning": "free",
    "asked": "text",
    "enforced": "no",
    "order": "reasoning_first",
    "words": None,
    "stages": ("phenomenon", "observation", "conclusion"),
    "reasoning_field": "reasoning",
    "answer_field": "answer",
}
TAKEN = {"reasoning", "words", "asked", "enforced", "order", "stages", "reasoning_field", "answer_field"}
"""Settings that an axis takes; every other one counts as wording."""


def levels(settings: Mapping[str, Any]) -> Levels:
    """What a condition does on each axis. A setting without effect on the prompt or the decoder has no level."""
    known = {**DEFAULTS, **{name: value for name, value in settings.items() if not name.startswith("_")}}
    named = known["asked"] != "text" or known["enforced"] not in ("no", "sham")
    staged = known["reasoning"] == "staged"
    length = (known["reasoning"], known["words"]) if known["reasoning"] not in ("free", "staged") else ("free", None)
    order = "reasoning_first" if known["order"] == "answer_only" else known["order"]  # no rationale: a matter of length
    wording = (
        ("fields", (known["reasoning_field"], known["answer_field"]) if named else None),
        ("stages", tuple(known["stages"]) if staged else None),
        *sorted((name, str(value)) for name, value in known.items() if name not in TAKEN and value is not None),
    )
    defaults = (DEFAULTS["reasoning_field"], DEFAULTS["answer_field"])
    shown = tuple(pair for pair in wording if pair[1] is not None and pair != ("fields", defaults))
    return (shown, known["asked"], known["enforced"], order, length)


def between(reference: Levels, condition: Levels, moved: frozenset[int]) -> Levels:
    """The cell that has the condition's level on the moved axes, and the reference's on all others."""
    return tuple(condition[i] if i in moved else reference[i] for i in range(len(AXES)))


def describe(cell: Levels, names: Mapping[Levels, str]) -> str:
    """The name of a cell if a condition has it, or what such a condition would have to set."""
    if cell in names:
        return names[cell]
    wording, asked, enforced, order, (reasoning, words) = cell
    budget = f" words={words}" if words else ""
    extra = "".join(f" {name}={value}" for name, value in wording)
    return f"reasoning={reasoning}{budget} asked={asked} enforced={enforced} order={order}{extra}"
