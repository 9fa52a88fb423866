"""What a manifest.json may hold. It comes from whoever made the folder, and every reader of one relies on its shape."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any


def _time(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value) is not None
    except (TypeError, ValueError):
        return False


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


SHAPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("started", "finished"), (_time, "a time in the form of ISO 8601")),
    **dict.fromkeys(
        ("status", "barred", "refused", "error", "items_sha256", "python"), (lambda one: isinstance(one, str), "a text")
    ),
    **dict.fromkeys(
        ("packages", "hardware", "sampling", "statuses", "engine", "swap"), (lambda one: isinstance(one, dict), "a mapping")
    ),
    **dict.fromkeys(("code", "determinism"), (lambda one: isinstance(one, dict | None), "a mapping or null")),
    **dict.fromkeys(
        ("planned", "missing_at_start", "transient", "neutralised", "halves"), (lambda one: isinstance(one, int), "a count")
    ),
    "decoder": (_texts, "a list of texts"),
    "grammars": (lambda one: isinstance(one, list), "a list"),
}


def misshapen(found: Any) -> str:
    """What is wrong with the shape of a manifest; empty if nothing is. Unknown fields may hold anything."""
    if not isinstance(found, dict):
        return "it holds no JSON object"
    for name, (fits, wanted) in SHAPES.items():
        if name in found and not fits(found[name]):
            return f"field '{name}' must be {wanted}, got {str(found[name])[:60]!r}"
    return ""
