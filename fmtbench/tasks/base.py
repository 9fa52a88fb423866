"""What every task is, and the checks that every task's items pass before anything runs."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence

from fmtbench.answers import AnswerKind
from fmtbench.errors import UnaskableError, UserError
from fmtbench.types import Item, Shot


class Task(ABC):
    """A source of items."""

    @abstractmethod
    def items(self) -> list[Item]:
        """All items, always in the same order for the same fields."""

    @abstractmethod
    def kind(self, item: Item) -> AnswerKind:
        """The answer kind of one item: options and accepted spellings may differ by item."""

    def worked(self) -> Sequence[Shot]:
        """Worked examples, none of which is an item of this task; empty if there are none."""
        return ()


def worked_examples(task: Task, name: str, item: Item, count: int, drafted: bool = False) -> list[Shot]:
    """The first `count` worked examples that are not the item itself, and have a draft where one is asked for.

    Raises `UnaskableError` where there are fewer.
    """
    if not count:
        return []
    shots = [shot for shot in task.worked() if shot.question != item.question and (shot.draft or not drafted)][:count]
    if len(shots) < count:
        examples = "worked examples with a draft" if drafted else "worked examples"
        raise UnaskableError(
            f"task '{name}' has {len(shots)} {examples} and the condition asks for shots={count}: "
            "leave that condition out, or write examples in the task's `shots`"
        )
    return shots


def check_items(task: Task, items: list[Item], source: str) -> None:
    """Reject an empty task, ids that are not unique, and a gold answer that its own kind cannot read."""
    if not items:
        raise UserError(f"task '{source}' has no items: give it settings that leave some, or leave the task out")
    seen: set[str] = set()
    for row, item in enumerate(items):
        if item.id in seen:
            raise UserError(f"task '{source}', row {row}: item id '{item.id}' occurs twice; ids must be unique")
        if task.kind(item).canon(item.gold) is None:
            wanted = task.kind(item).placeholder()
            raise UserError(f"task '{source}', row {row}, item '{item.id}': the gold answer {item.gold!r} is no {wanted}")
        seen.add(item.id)


def item_rng(seed: int, *name: str | int) -> random.Random:
    """A generator for one item alone, so that item 17 is the same however many items are asked for."""
    return random.Random(f"{seed}/" + "/".join(map(str, name)))
