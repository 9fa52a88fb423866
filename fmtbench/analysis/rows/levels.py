"""Conditions as points in the factorial design, as plain dictionaries: which axes differ, and which cells lie between.

    axes = {"free_cot": {"reasoning": "free"}, "json_schema": {"reasoning": "free", "asked": "json", "enforced": "schema"}}

The dictionaries come from `conf/condition/*.yaml` or from a cell's own `config.yaml`; a missing setting has its default value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fmtbench.conditions.axes import DEFAULTS, worded

AXES = ("wording", "asking", "masking", "order", "length", "thinking")
"""Components that come from a condition's axes; truncation and reading come from the replies."""

Levels = tuple[Any, ...]
"""One level for each of `AXES`."""

WHOLE, RECONSIDERED = DEFAULTS["when"], "reconsider"
UNNAMED = ("no", "sham", "one_line")
"""Levels of `enforced` that name no field."""
TAKEN = {"reasoning", "words", "budget", "asked", "enforced", "when", "order", "thinking", "thinking_tokens"}
"""Settings that belong to axes other than wording. All others count as wording, unknown settings included."""
PROSE, FIELDS = "prose", ("fields", "named")


def levels(settings: Mapping[str, Any], fields: bool = False) -> Levels:
    """A condition's level on each axis. A setting that affects neither the prompt nor the decoder has no level.

    With `fields`, naming the fields of a format counts as wording, since `asked: prose` names them without a format; `prose`
    then lies between text and JSON. Without `fields`, naming them is part of asking.

    A format that applies only to the answer or in a second pass (`json@answer`) is a different level of asking and masking from
    one that applies from the first token: no cell of the latter lies between the two. Having the reply reconsidered counts as
    wording, since it asks and masks as before and then says more.
    """
    known = {**DEFAULTS, **{name: value for name, value in settings.items() if not name.startswith("_")}}
    order = DEFAULTS["order"] if known["order"] == "answer_only" else known["order"]  # a missing rationale counts as length
    at = "" if known["when"] in (WHOLE, RECONSIDERED) else f"@{known['when']}"
    asked = known["asked"] if known["asked"] == "text" else known["asked"] + at
    enforced = known["enforced"] if known["enforced"] in UNNAMED else known["enforced"] + at
    cell = (_wording(known), asked, enforced, order, _length(known), _thinking(known))
    return _with_fields(cell, known) if fields else cell


def _with_fields(cell: Levels, known: Mapping[str, Any]) -> Levels:
    wording, asked, *rest = cell
    kept = tuple(pair for pair in wording if pair[0] != "schema_shown")
    named = known["asked"] != "text" and known["schema_shown"]
    return ((*kept, FIELDS) if named else kept, "text" if known["asked"] == PROSE else asked, *rest)


def _length(known: Mapping[str, Any]) -> tuple[Any, ...]:
    """Reasoning, its budget in words, and `hard` where the decoder counts them; stages count as wording."""
    if known["reasoning"] in ("free", "staged"):
        return ("free", None, None)
    return (known["reasoning"], known["words"], "hard" if known["budget"] == "hard" else None)


def _thinking(known: Mapping[str, Any]) -> tuple[Any, ...]:
    """Whether the model thinks before it replies, and for at most how many tokens."""
    return (worded(known["thinking"]), known["thinking_tokens"])


def _wording(known: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Settings outside the other axes that differ from their default and that affect the prompt or the decoder."""
    named = known["asked"] != "text" or known["enforced"] not in UNNAMED
    unseen = {"stages"}
    if not named:
        unseen |= {"reasoning_field", "answer_field", "schema_shown"}
    if known["when"] != "answer":
        unseen |= {"trigger"}
    staged = (("stages", tuple(known["stages"])),) if known["reasoning"] == "staged" else ()
    again = (("when", RECONSIDERED),) if known["when"] == RECONSIDERED else ()
    others = sorted(set(known) - TAKEN - unseen)
    return staged + again + tuple((name, str(known[name])) for name in others if known[name] not in (None, DEFAULTS.get(name)))


def between(reference: Levels, condition: Levels, moved: frozenset[int]) -> Levels:
    """The cell with the condition's levels on the moved axes and the reference's on all others."""
    return tuple(condition[i] if i in moved else reference[i] for i in range(len(AXES)))


def describe(cell: Levels, names: Mapping[Levels, str]) -> str:
    """The name of the condition at this cell, or the settings that such a condition would need."""
    if cell in names:
        return names[cell]
    return " ".join(f"{name}={value}" for name, value in settings_at(cell).items())


def settings_at(cell: Levels) -> dict[str, Any]:
    """The settings that a condition at this cell would need."""
    wording, asked, enforced, order, (reasoning, words, hard), (thinking, tokens) = cell
    (asked, _, when), (enforced, _, masked_when) = asked.partition("@"), enforced.partition("@")
    settings = {
        "reasoning": reasoning,
        "words": words,
        "budget": hard,
        "asked": asked,
        "enforced": enforced,
        "when": when or masked_when or None,
        "order": order,
        "thinking": None if thinking == DEFAULTS["thinking"] else thinking,
        "thinking_tokens": tokens,
        **dict(wording),
    }
    return {name: value for name, value in settings.items() if value is not None}
