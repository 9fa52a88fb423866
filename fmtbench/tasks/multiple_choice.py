"""Questions with lettered options: AQuA (Ling et al. 2017, arXiv 1705.04146), CommonsenseQA, FOLIO, ProntoQA,
ProofWriter, GPQA, ZebraLogic. One YAML a set.

{"question": "A car travels ...", "options": ["A)21", "B)21.5", ...], "correct": "A"}
"""

from __future__ import annotations

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from fmtbench.answers import AnswerKind, Choice
from fmtbench.tasks.base import Task, item_rng
from fmtbench.tasks.options import bare, letter, show
from fmtbench.tasks.source import Source
from fmtbench.tasks.source_row import SourceRow
from fmtbench.types import Item, Shot


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class MultipleChoice(Task):
    """Reads the fields `question`, `options` and `answer`; the answer is the letter or the text of an option."""

    source: Source
    options: tuple[str, ...] = ()
    """The options of every question, if the rows have none."""
    shuffle: bool = False
    """Show the options in an order drawn from the question; for rows that keep the right one in a field of its own."""
    shots: tuple[Shot, ...] = ()
    """Worked examples, for conditions that show some."""

    def items(self) -> list[Item]:
        return [self._item(row) for row in self.source.rows()]

    def _item(self, row: SourceRow) -> Item:
        options = self.options if self.options and row.value("options") is None else row.texts("options")
        if len(options) > 26:
            row.reject("options", f"{len(options)} options, but there are 26 letters")
        options = bare(options)
        if self.shuffle:
            options = tuple(item_rng(0, row.text("question")).sample(options, len(options)))
        gold = self._gold(row, options)
        return Item(id=row.id, stratum=row.stratum, question=show(row.text("question"), options), gold=gold, choices=options)

    def _gold(self, row: SourceRow, options: tuple[str, ...]) -> str:
        """The letter. A right option in a field of its own is the option with the same words, even if they read like a letter."""
        answer = row.text("answer")
        found = self.shuffle and answer in options
        gold = letter(options.index(answer)) if found else Choice(options=options).canon(answer)
        if gold is None:
            row.reject("answer", f"{answer!r} is none of the options {list(options)}")
        return gold

    def kind(self, item: Item) -> AnswerKind:
        return Choice(options=item.choices)

    def worked(self) -> tuple[Shot, ...]:
        return self.shots
