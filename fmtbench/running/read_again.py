"""A pack's replies read again by the readers of today, without a model and without the journal that it was packed from.

What the texts do not say stays as it was packed: tokens and seconds. Which tokens wrote a rationale is known to the journal
alone, and is unknown afterwards.
"""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from fmtbench.answers import AnswerKind
from fmtbench.conditions.condition import Condition
from fmtbench.readers.latent import read_latent
from fmtbench.readers.marked import read_marked
from fmtbench.readers.plain import rationale_left, words
from fmtbench.readers.reply import reply_place
from fmtbench.tasks.base import Task
from fmtbench.types import Generation, Item

OPTION = re.compile(r"^\([A-Z]\) (.*)$", re.M)
READ = ("answer", "status", "correct", "marked_answer", "marked_correct", "latent_answer", "latent_correct", "reasoning_words")
"""The columns that come of reading."""


def read_again(rows: pd.DataFrame, task: Task, condition: Condition) -> pd.DataFrame:
    """The rows of one cell with what the readers find in their texts today."""
    read = pd.DataFrame([_read(row, task.kind(_item(row)), condition) for row in rows.itertuples()], index=rows.index)
    return rows.assign(**{name: read[name] for name in READ}, reasoning_tokens=pd.Series(None, index=rows.index, dtype="object"))


def _item(row: Any) -> Item:
    """As much of the item as rows keep: its options stand in its question."""
    return Item(id=row.item_id, question=row.question, gold=row.gold, choices=tuple(OPTION.findall(row.question)))


def _read(row: Any, kind: AnswerKind, condition: Condition) -> dict[str, Any]:
    found = condition.read(Generation(key="", text=row.text, finish_reason=row.finish_reason), kind)
    marked, latent = read_marked(row.text, kind), read_latent(row.text, kind)
    return {
        "answer": found.answer,
        "status": found.status,
        "correct": found.status == "ok" and kind.same(found.answer, row.gold),
        "marked_answer": marked.answer,
        "marked_correct": kind.same(marked.answer, row.gold),
        "latent_answer": latent.answer,
        "latent_correct": kind.same(latent.answer, row.gold),
        "reasoning_words": _words(row.text, kind) if condition.passes == 1 else row.reasoning_words,
    }


def _words(text: str, kind: AnswerKind) -> int:
    return len(words(rationale_left(text[: reply_place(text, kind)[1]])))
