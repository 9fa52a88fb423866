"""Which column of somebody's table is the question and which the answer: by the names that are usual, or as given."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from fmtbench.errors import UserError

USUAL = {
    "question": ("question", "prompt", "input", "problem", "text"),
    "gold": ("gold", "answer", "target", "label", "solution"),
    "choices": ("choices", "options"),
    "id": ("id",),
    "stratum": ("stratum", "subject", "category"),
}
NEEDED = ("question", "gold")
OPTION = re.compile(r"(?:option|choice)?[ _-]?([A-Z])", re.I)
"""A column that holds one option: `A`, `option_a`, `Choice B`."""


def find(columns: Sequence[str], given: Mapping[str, str | None], place: str) -> dict[str, str]:
    """The column of each role that has one. Raises `UserError` for one that is absent, or may be either of two."""
    found = {role: _column(role, columns, given.get(role), place) for role in USUAL}
    if found["question"] == found["gold"]:
        raise UserError(f"{place}: question and gold are the same column, {found['gold']!r}: give gold another")
    return {role: column for role, column in found.items() if column is not None}


def _column(role: str, columns: Sequence[str], given: str | None, place: str) -> str | None:
    there = f"the columns there are {', '.join(columns)}"
    if given is not None:
        if given not in columns and given.partition(".")[0] not in columns:
            raise UserError(f"{place}: {role}={given} is no column: {there}")
        return given
    known = [column for column in columns if column.strip().lower() in USUAL[role]]
    if len(known) > 1:
        raise UserError(f"{place}: {' and '.join(map(repr, known))} may both be the {role}: give {role}={known[0]} or another")
    if not known and role in NEEDED:
        raise UserError(f"{place}: no column is called {_or(USUAL[role])}: give {role}= one; {there}")
    return known[0] if known else None


def options(columns: Sequence[str]) -> tuple[str, ...]:
    """The columns of options, in the order of their letters from A; none where there are fewer than two."""
    lettered = {match[1].upper(): column for column in columns if (match := OPTION.fullmatch(column.strip()))}
    run = [letter for place, letter in enumerate(sorted(lettered)) if letter == chr(ord("A") + place)]
    return tuple(lettered[letter] for letter in run) if len(run) > 1 else ()


def _or(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " or " + names[-1]
