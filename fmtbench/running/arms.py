"""What a stream of scored rows adds up to: verdicts, the statuses of each cell, and which items each arm has."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from sys import intern

from fmtbench.errors import UserError
from fmtbench.types import Row

Cell = tuple[str, str, str, str, int]
"""Backbone, task, condition, prompt and seed."""
VERDICTS = {"strict": "correct", "marked": "marked_correct", "latent": "latent_correct"}


@dataclass(kw_only=True)
class Tally:
    """Everything that is kept of rows that are written and forgotten."""

    rows: int = 0
    kept: int = 0
    """Replies in which the contract's reader found an answer."""
    right: Counter[str] = field(default_factory=Counter)
    statuses: dict[Cell, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    arms: dict[tuple[str, str], dict[str, set[str]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(set)))
    """The items of each condition, by backbone and task."""

    def add(self, row: Row) -> None:
        self.rows += 1
        self.kept += row.answer is not None
        self.right.update(name for name, column in VERDICTS.items() if getattr(row, column))
        self.statuses[cell_of(row)][row.status] += 1
        self.arms[row.backbone, row.task][row.condition].add(intern(row.item_id))

    def unpaired(self) -> Iterator[str]:
        """One line for each two arms of a backbone and task that have no item in common, and so no contrast.

        Raises `UserError` where that is true of all of them: then it is the items' names that differ, not the items.
        """
        pairs = [(where, *pair) for where, arms in self.arms.items() for pair in combinations(sorted(arms.items()), 2)]
        alone = [(where, one, other) for where, (one, own), (other, theirs) in pairs if own.isdisjoint(theirs)]
        lines = [f"{backbone}/{task}: {one} and {other} have no item in common" for (backbone, task), one, other in alone]
        if pairs and len(alone) == len(pairs):
            (_, (_, own), (_, theirs)) = pairs[0]
            raise UserError(
                f"{lines[0]} (nor have any other two arms), such as {min(own)!r} and {min(theirs)!r}: "
                "say with item= what names an item alike in each"
            )
        yield from lines


def cell_of(row: Row) -> Cell:
    return row.backbone, row.task, row.condition, row.prompt, row.seed
