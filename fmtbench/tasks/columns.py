"""Which column of somebody's table is the question and which the answer: by the usual names, or as given."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from textwrap import shorten

from fmtbench.errors import UserError
from fmtbench.tasks.source_row import Path

USUAL = {
    "question": ("question", "prompt", "input", "problem", "text"),
    "gold": ("gold", "answer", "target", "label", "solution", "answerkey"),
    "choices": ("choices", "options"),
    "id": ("id",),
    "stratum": ("stratum", "subject", "category"),
}
NEEDED = ("question", "gold")
OPTION = re.compile(r"(?:option|choice)?[ _-]?([A-Z])", re.I)
"""A column that holds one option: `A`, `option_a`, `Choice B`."""


def find(columns: Sequence[str], given: Mapping[str, Path | None], place: str) -> dict[str, Path]:
    """The column of each role in `given` that has one; None looks for the usual names.

    Raises `UserError` for a column that is absent or ambiguous.
    """
    found = {role: _column(role, columns, column, place) for role, column in given.items()}
    if found["question"] == found["gold"]:
        raise UserError(f"{place}: question and gold are the same column, {found['gold']!r}: give gold another")
    return {role: column for role, column in found.items() if column is not None}


def check_given(role: str, given: Path, columns: Sequence[str], place: str) -> None:
    """Raises `UserError` for a column that is not there; a path may lead into one."""
    for column in (given,) if isinstance(given, str) else given:
        if column not in columns and str(column).partition(".")[0] not in columns:
            raise UserError(f"{place}: {role}={column} is no column: {_there(columns)}")


def _column(role: str, columns: Sequence[str], given: Path | None, place: str) -> Path | None:
    if given is not None:
        check_given(role, given, columns, place)
        return given
    known = [column for column in columns if column.strip().lower() in USUAL[role]]
    if len(known) > 1:
        both = f", or both: question=[{','.join(known)}]" if role == "question" else ""
        raise UserError(f"{place}: {' and '.join(map(repr, known))} may be the {role}: give {role}={known[0]} or another{both}")
    if not known and role in NEEDED:
        raise UserError(f"{place}: no column is called {_or(USUAL[role])}: give {role}= one; {_there(columns)}")
    return known[0] if known else None


def _there(columns: Sequence[str]) -> str:
    """Without a header, the names are a whole row of values."""
    return "the columns there are " + ", ".join(shorten(column, 40, placeholder=" ...") for column in columns if column.strip())


def options(columns: Sequence[str]) -> tuple[str, ...]:
    """The columns of options, in the order of their letters from A; none where there are fewer than two."""
    lettered = {match[1].upper(): column for column in columns if (match := OPTION.fullmatch(column.strip()))}
    run = [letter for place, letter in enumerate(sorted(lettered)) if letter == chr(ord("A") + place)]
    return tuple(lettered[letter] for letter in run) if len(run) > 1 else ()


def _or(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " or " + names[-1]
