"""A pack's replies read again by the readers of today, without a model and without the journal that it was packed from.

What the texts do not say stays as it was packed: tokens and seconds. Which tokens wrote a rationale is known to the journal
alone, and is unknown afterwards.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from fmtbench.answers import AnswerKind, Choice, Text
from fmtbench.conditions.condition import Condition
from fmtbench.errors import UserError
from fmtbench.readers.plain import words
from fmtbench.running.verdicts import Verdicts, located, order_of, rationale, verdicts
from fmtbench.tasks.base import Task
from fmtbench.tasks.options import listed
from fmtbench.tasks.own_questions import OwnQuestions
from fmtbench.types import OPTIONAL, Generation, Item

READ = (*(name for name in Verdicts._fields if name not in OPTIONAL), "reasoning_words")
"""The columns that come of reading, and that rows of every version have."""
ORDER, FIELDS = "realised_order", "fields"
"""Those of rows from today on."""


def read_again(rows: pd.DataFrame, task: Task, condition: Condition) -> pd.DataFrame:
    """The rows of one cell with what the readers find in their texts today.

    Raises `UserError` where the items are not at hand and rows do not say enough of them.
    """
    known = _items(task)
    read = pd.DataFrame([_read(row, task, known, condition) for row in rows.itertuples()], index=rows.index)
    told = (*READ, ORDER, *([FIELDS] if read[FIELDS].notna().any() else []))  # records alone have fields
    return rows.assign(
        **{name: read[name] for name in told},
        reasoning_tokens=pd.Series(None, index=rows.index, dtype="object"),
    )


def _items(task: Task) -> dict[str, Item]:
    """The task's items by id, where it generates them or its file is at hand; none otherwise."""
    try:
        return {item.id: item for item in task.items()}
    except UserError:
        return {}


def _kind(row: Any, task: Task, known: dict[str, Item]) -> AnswerKind:
    """How an item is judged: by the item itself, or by as much of it as rows keep, which are its question and its gold answer."""
    item = known.get(row.item_id)
    if item is not None:
        return task.kind(item)
    if isinstance(task, OwnQuestions):  # any kind of answer may have several accepted ones there
        raise UserError(f"item {row.item_id}: rows do not keep the other accepted answers; put the task's data in place")
    kind = task.kind(Item(id=row.item_id, question=row.question, gold=row.gold, choices=listed(row.question)))
    if isinstance(kind, Choice) and len(kind.options) < 2:
        raise UserError(
            f"item {row.item_id}: its options are not in the rows, since its question is not; put the task's data in place"
        )
    if isinstance(kind, Text):
        raise UserError(f"item {row.item_id}: rows do not keep the other accepted spellings; put the task's data in place")
    return kind


def _read(row: Any, task: Task, known: dict[str, Item], condition: Condition) -> dict[str, Any]:
    kind, aliases = _kind(row, task, known), known[row.item_id].aliases if row.item_id in known else ()
    own = condition.read(Generation(key="", text=row.text, finish_reason=row.finish_reason), kind)
    found, single, left = located(row.text, own, kind), not condition.rewrites, rationale(row.text, kind)
    return {
        **verdicts(found, kind, [row.gold, *aliases])._asdict(),
        "reasoning_words": len(words(left)) if single else row.reasoning_words,
        ORDER: order_of(row.text, found, kind, left) if single else None,
    }
