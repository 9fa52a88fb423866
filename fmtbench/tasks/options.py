"""Lettered options of a question: how they are shown, and which letter is the gold one."""

from __future__ import annotations

import re
import string

LETTERED = re.compile(r"^\(?([A-Z])\s?[):.]\s*")
LINE = re.compile(r"^\(([A-Z])\) *(.+)$", re.M)


def letter(index: int) -> str:
    return string.ascii_uppercase[index]


def show(question: str, options: tuple[str, ...]) -> str:
    """The question with one line an option.

    >>> show("Which one?", ("red", "blue"))
    'Which one?\\n(A) red\\n(B) blue'
    """
    return "\n".join([question, *(f"({letter(index)}) {option}" for index, option in enumerate(options))])


def bare(options: tuple[str, ...]) -> tuple[str, ...]:
    """Options without their letters, if all have one and these are in order: `A)5` is `5`."""
    marks = [LETTERED.match(option) for option in options]
    if [mark and mark[1] for mark in marks] != [letter(index) for index in range(len(options))]:
        return options
    return tuple(LETTERED.sub("", option, count=1).strip() for option in options)


def listed(text: str) -> tuple[str, ...]:
    """The options that a text itself lists as `(A) ...` lines; none if their letters are not A, B, C, ... in order."""
    lines = LINE.findall(text)
    in_order = [mark for mark, _ in lines] == [letter(index) for index in range(len(lines))]
    return tuple(option.strip() for _, option in lines) if in_order else ()
