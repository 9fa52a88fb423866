"""GSM8K: grade-school word problems (Cobbe et al. 2021, arXiv 2110.14168; MIT licence).

{"question": "Janet's ducks lay 16 eggs per day. ...", "answer": "Janet sells 16 - 3 - 4 = <<16-3-4=9>>9 ...\\n#### 18"}
"""

from __future__ import annotations

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from fmtbench.answers import AnswerKind, Number
from fmtbench.errors import UserError
from fmtbench.tasks.base import Task
from fmtbench.tasks.source import Source
from fmtbench.types import Item


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Gsm8k(Task):
    """The test split; the gold answer is what stands behind `####`."""

    source: Source

    def items(self) -> list[Item]:
        return [self._item(row, record) for row, record in enumerate(self.source.rows())]

    def _item(self, row: int, record: dict[str, str]) -> Item:
        question, answer = self.source.field(row, record, "question"), self.source.field(row, record, "answer")
        _, marked, gold = answer.rpartition("####")
        if not marked:
            raise UserError(f"{self.source.name}, row {row}, field 'answer': there is no '#### ' before the final number")
        return Item(id=f"gsm8k/{self.source.split}-{row}", question=question, gold=gold.strip())

    def kind(self, item: Item) -> AnswerKind:
        return Number()
