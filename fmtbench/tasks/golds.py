"""Gold answers as people write them into a table: one or several; for a choice its letter, its text or its number."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

from fmtbench.answers import Choice, Set
from fmtbench.answers.named import final
from fmtbench.tasks.table_cells import Options, empty, unpacked


def accepted(cell: Any, answer: str) -> tuple[str, ...]:
    """Every accepted answer in a cell, the gold one first. A list holds several accepted answers; for a set, it is one answer.

    Raises `ValueError` for a cell without any.
    """
    found = cell if answer == "math" and isinstance(cell, str) else unpacked(cell)  # [0, 1] may be an interval
    if answer == "set" and isinstance(found, list):
        found = _set(found)
    golds = list(found) if isinstance(found, list | tuple) else [found]
    if not golds or any(empty(one) or isinstance(one, dict | list) for one in golds):
        raise ValueError(f"the gold answer is {cell!r}: give a text, a number or a list of these")
    return tuple(dict.fromkeys(final(_text(one), answer).strip() for one in golds))


def _text(value: Any) -> str:
    """A column of numbers with a gap is read as floats: `3.0` is 3."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _set(items: list[Any]) -> str:
    joined = ", ".join(map(str, items))
    if not items or len((Set().canon(joined) or "").split(", ")) != len({Set().canon(str(item)) for item in items}):
        raise ValueError(f"the gold answer {items!r} is no set: items hold no comma, semicolon or 'and' themselves")
    return joined


def first_number(golds: Sequence[Sequence[str]], options: Sequence[Options]) -> int | None:
    """The number from which golds count options, 0 or 1; None if they are not numbers of options.

    Golds that can all be read as letters or texts are not numbers. Raises `ValueError` if they could count from either.
    """
    pairs = [(gold, one) for row, one in zip(golds, options) for gold in row]
    if all(named(gold, one) for gold, one in pairs) or not all(gold.isdecimal() for gold, _ in pairs):
        return None
    numbers = [(int(gold), len(one.texts)) for gold, one in pairs]
    fits = [first for first in (0, 1) if all(first <= number < first + count for number, count in numbers)]
    if len(fits) == 2:
        raise ValueError("the golds are numbers of options that may count from 0 or from 1: write letters, or the options' texts")
    return fits[0] if fits else None


def named(gold: str, options: Options) -> str | None:
    """The letter of the option that a gold names by key, letter or text."""
    key = gold.strip("(). ")
    if key in options.keys:
        return string.ascii_uppercase[options.keys.index(key)]
    return Choice(options=options.texts).canon(gold)


def letter(gold: str, options: Options, first: int | None) -> str | None:
    """The letter of the option that a gold means, by number if numbers count from `first`."""
    return named(gold, options) if first is None else string.ascii_uppercase[int(gold) - first]


def told_apart(read: str, options: Options) -> bool:
    """Whether a letter is read as the option that it stands for: with options called B and A, which one is A?"""
    place = string.ascii_uppercase.index
    found = Choice(options=options.texts).canon(read)
    return found is not None and options.texts[place(found)] == options.texts[place(read)]
