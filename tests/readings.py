"""What a condition writes and reads by: conditions that share all of it are tested once.

`tests/test_fairness.py` shows that nothing else of a condition matters, and that every condition is covered.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from fmtbench.answers import AnswerKind
from fmtbench.conditions.condition import Condition
from fmtbench.formats.base import Layout
from fmtbench.types import Constraint


class Reading(NamedTuple):
    """All of a condition that its `example` and `read` use: the format that comes out, and the parts of a reply."""

    produced: str
    trigger: str | None
    layout: Layout


def reading(condition: Condition) -> Reading:
    return Reading(*described(condition.produced), condition.returned)


def distinct_uses(conditions: Iterable[Condition], kind: AnswerKind) -> dict[tuple[Reading, Constraint | None], Condition]:
    """One condition for each distinct reading and grammar: it writes, reads and is held as those it stands for."""
    found: dict[tuple[Reading, Constraint | None], Condition] = {}
    for condition in conditions:
        found.setdefault((reading(condition), condition.constraint(kind)), condition)
    return found


def described(written: Any) -> tuple[str, str | None]:
    """A format by its class, which has no state, and the trigger of a delayed one."""
    return type(written).__name__, getattr(written, "trigger", None)


def distinct(conditions: Iterable[Condition]) -> dict[Reading, Condition]:
    """One condition for each distinct reading."""
    found: dict[Reading, Condition] = {}
    for condition in conditions:
        found.setdefault(reading(condition), condition)
    return found
