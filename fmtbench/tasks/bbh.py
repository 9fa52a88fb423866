"""BIG-Bench Hard (Suzgun et al. 2022, arXiv 2210.09261; MIT licence): all its tasks by one loader.

The input carries its own question and, in most tasks, its own `(A) ...` lines, and is shown unchanged. Benchmark data
must not enter training corpora: the files carry a canary string for that.

{"input": "... Then, Claire and Bob swap books. ... Bob has\\nOptions:\\n(A) Ulysses\\n(B) Frankenstein", "target": "(B)"}
"""

from __future__ import annotations

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from fmtbench.answers import AnswerKind, Choice
from fmtbench.tasks.base import Task
from fmtbench.tasks.options import listed
from fmtbench.tasks.source import Source
from fmtbench.tasks.source_row import SourceRow
from fmtbench.types import Item, Shot


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class Bbh(Task):
    """Reads the fields `input` and `target`."""

    source: Source
    answer: AnswerKind | None = None
    """Answer kind of all items; null where the inputs list lettered options."""
    shots: tuple[Shot, ...] = ()
    """Worked examples, for conditions that show some."""

    def items(self) -> list[Item]:
        return [self._item(row) for row in self.source.rows()]

    def _item(self, row: SourceRow) -> Item:
        options = () if self.answer else listed(row.text("input"))
        if not self.answer and len(options) < 2:
            row.reject("input", "there are no options '(A) ...', '(B) ...', ... in order, and the task has no other answer kind")
        kind, gold = self.answer or Choice(options=options), row.text("target")
        if kind.canon(gold) is None:
            row.reject("target", f"the gold answer {gold!r} is no {kind.placeholder()}")
        return Item(id=row.id, stratum=row.stratum, question=row.text("input"), gold=gold.strip("()"), choices=options)

    def kind(self, item: Item) -> AnswerKind:
        return self.answer or Choice(options=item.choices)

    def worked(self) -> tuple[Shot, ...]:
        return self.shots
