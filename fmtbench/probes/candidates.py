"""The answers that a read-out chooses from: the same for all replies to an item, whatever their condition.

    candidates(Number(), item, ["12", "12.0", "13", "13", "11"])       ("12", "13", "11")

They are the members of a closed set, such as the letters of a choice; or else the gold answer, followed by what was answered
under any condition, most frequent first.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Literal, get_args, get_origin

from fmtbench.answers import AnswerKind
from fmtbench.types import Item

MOST = 8
"""The most candidates of an open set."""
CLOSED = 26
"""The most members of a closed set; a larger one, such as the labels of a classification, is treated as open."""
LONGEST = 80
"""The most characters of a candidate; anything longer is prose."""
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
"""A number as JSON writes it."""


def candidates(kind: AnswerKind, item: Item, said: Iterable[str]) -> tuple[str, ...]:
    """The candidates of an item. `said`: the answers located in its replies under every condition, in any order."""
    if closed := choices(kind):
        return closed
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    for answer in map(bare, said):
        if len(answer) <= LONGEST and (form := kind.canon(answer)):
            spellings[form][answer] += 1
    found = [statable(kind, item.gold)]
    for form in sorted(spellings, key=lambda one: (-spellings[one].total(), one)):
        answer = form if kind.numeric else min(spellings[form], key=lambda one: (-spellings[form][one], one))
        known = any(kind.same(answer, one) for one in (*found, item.gold, *item.aliases))
        if not known and (not kind.numeric or NUMBER.fullmatch(answer)):
            found.append(answer)
    return tuple(found[:MOST])


def choices(kind: AnswerKind) -> tuple[str, ...]:
    """All answers of a closed set, as a schema lists them; empty for an open one."""
    annotation = kind.annotation()
    listed = get_args(annotation) if get_origin(annotation) is Literal else ()
    return listed if all(isinstance(one, str) for one in listed) and len(listed) <= CLOSED else ()


def statable(kind: AnswerKind, gold: str) -> str:
    """A gold answer as a reply would state it: JSON has no number `1,200`."""
    form = kind.canon(gold) if kind.numeric else None
    return form if form and NUMBER.fullmatch(form) else gold


def bare(answer: str) -> str:
    return answer.strip().rstrip(".")
