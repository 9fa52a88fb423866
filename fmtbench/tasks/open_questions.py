"""Questions whose answer is in one field, of one answer kind for the whole set: GSM8K and its relatives (Cobbe et al.
2021, arXiv 2110.14168), SVAMP, ASDiv, MultiArith, MATH-500, last-letter files, Korean sets. One YAML a set.

{"question": "Janet's ducks lay 16 eggs per day. ...", "answer": "Janet sells 16 - 3 - 4 = <<16-3-4=9>>9 ...\\n#### 18"}
"""

from __future__ import annotations

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from fmtbench.answers import AnswerKind
from fmtbench.tasks.base import Task
from fmtbench.tasks.source import Source
from fmtbench.tasks.source_row import SourceRow
from fmtbench.types import Item, Shot


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class OpenQuestions(Task):
    """Reads the fields `question` and `answer`."""

    source: Source
    answer: AnswerKind
    mark: str | None = None
    """The gold answer is what follows the last of these marks, such as `####`; null takes the whole field."""
    shots: tuple[Shot, ...] = ()
    """Worked examples, for conditions that show some."""

    def items(self) -> list[Item]:
        return [
            Item(id=row.id, stratum=row.stratum, question=row.text("question"), gold=self._gold(row))
            for row in self.source.rows()
        ]

    def _gold(self, row: SourceRow) -> str:
        answer = row.text("answer")
        if self.mark and self.mark not in answer:
            row.reject("answer", f"there is no '{self.mark} ' before the final answer")
        gold = answer.rpartition(self.mark)[2].strip() if self.mark else answer
        if self.answer.canon(gold) is None:
            row.reject("answer", f"the gold answer {gold!r} is no {self.answer.placeholder()}")
        return gold

    def kind(self, item: Item) -> AnswerKind:
        return self.answer

    def worked(self) -> tuple[Shot, ...]:
        return self.shots
