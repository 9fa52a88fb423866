"""Questions with lettered options: AQuA (Ling et al. 2017, arXiv 1705.04146), CommonsenseQA, FOLIO, ProntoQA,
ProofWriter. One YAML a set.

{"question": "A car travels ...", "options": ["A)21", "B)21.5", ...], "correct": "A"}
"""

from __future__ import annotations

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from fmtbench.answers import AnswerKind, Choice
from fmtbench.tasks.base import Task
from fmtbench.tasks.options import bare, show
from fmtbench.tasks.source import Source
from fmtbench.tasks.source_row import SourceRow
from fmtbench.types import Item


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class MultipleChoice(Task):
    """Reads the fields `question`, `options` and `answer`; the answer is the letter or the text of an option."""

    source: Source
    options: tuple[str, ...] = ()
    """The options of every question, where the rows have none of their own."""

    def items(self) -> list[Item]:
        return [self._item(row) for row in self.source.rows()]

    def _item(self, row: SourceRow) -> Item:
        options = self.options if self.options and row.value("options") is None else row.texts("options")
        if len(options) > 26:
            row.reject("options", f"{len(options)} options, but there are 26 letters")
        options = bare(options)
        gold = Choice(options=options).canon(row.text("answer"))
        if gold is None:
            row.reject("answer", f"{row.text('answer')!r} is none of the options {list(options)}")
        return Item(id=row.id, stratum=row.stratum, question=show(row.text("question"), options), gold=gold, choices=options)

    def kind(self, item: Item) -> AnswerKind:
        return Choice(options=item.choices)
