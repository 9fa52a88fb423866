"""BIG-bench task files (Srivastava et al. 2022, arXiv 2206.04615): tracking shuffled objects, date understanding, sports
understanding, StrategyQA. BBH is a sample of the same tasks: do not pool the two.

{"input": "Yesterday was April 30, 2021. What is the date today ...?", "target_scores": {"05/01/2021": 1, "02/23/2021": 0}}
"""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from fmtbench.answers import AnswerKind, Choice, YesNo
from fmtbench.tasks.base import Task, item_rng
from fmtbench.tasks.options import letter, show
from fmtbench.tasks.source import Source
from fmtbench.tasks.source_row import SourceRow
from fmtbench.types import Item, Shot


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class BigBench(Task):
    """Reads `input`, and the choices with their scores: a mapping `scores`, or the lists `targets` and `scores`."""

    source: Source
    ask: str | None = None
    """The question about the input, put before it; null if the input contains its own question."""
    affirmative: str | None = None
    """In a yes-or-no task, the choice that means yes; null turns the choices into lettered options."""
    shuffle: bool = False
    """Show the options in an order drawn from the question, because in some files the first is nearly always right."""

    choices: int | None = None
    """Use only the rows with this many choices, where a hub split mixes sub-tasks."""
    shots: tuple[Shot, ...] = ()
    """Worked examples, for conditions that show some."""

    def items(self) -> list[Item]:
        rows = [(row, self._scores(row)) for row in self.source.rows()]
        return [self._item(row, scores) for row, scores in rows if self.choices in (None, len(scores))]

    def _item(self, row: SourceRow, scores: dict[str, Any]) -> Item:
        question = "\n".join(filter(None, (self.ask, row.text("input"))))
        if self.affirmative is not None:
            return Item(id=row.id, stratum=row.stratum, question=question, gold="yes" if scores[self.affirmative] == 1 else "no")
        options = list(scores)
        if self.shuffle:
            item_rng(0, question).shuffle(options)
        texts = tuple(option.strip().removesuffix(".") for option in options)
        gold = next(letter(index) for index, option in enumerate(options) if scores[option] == 1)
        return Item(id=row.id, stratum=row.stratum, question=show(question, texts), gold=gold, choices=texts)

    def _scores(self, row: SourceRow) -> dict[str, Any]:
        """From choice to score; exactly one is right."""
        scores = row.value("scores")
        if isinstance(scores, list):
            scores = dict(zip(row.texts("targets"), scores, strict=False))
        if not isinstance(scores, dict) or sorted(scores.values(), key=str) != [0] * (len(scores) - 1) + [1]:
            row.reject("scores", f"one choice must have the score 1 and all others 0, got {scores!r}")
        if self.affirmative is not None and self.affirmative not in scores:
            row.reject("scores", f"none of the choices {list(scores)} is {self.affirmative!r}")
        return scores

    def kind(self, item: Item) -> AnswerKind:
        return Choice(options=item.choices) if self.affirmative is None else YesNo()

    def worked(self) -> tuple[Shot, ...]:
        return self.shots
