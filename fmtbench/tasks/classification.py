"""One label of a closed set for a short text: MultiFin (Jørgensen et al. 2023, EACL findings), task280 of Natural
Instructions (StereoSet), Banking77, DDXPlus. One YAML a set.

{"text": "How do I locate my card?", "label": "card_arrival"}
"""

from __future__ import annotations

from functools import cached_property

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from fmtbench.answers import AnswerKind, Label
from fmtbench.tasks.base import Task
from fmtbench.tasks.source import Source
from fmtbench.tasks.source_row import SourceRow
from fmtbench.types import Item


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Classification(Task):
    """Reads the fields `text` and `label`."""

    source: Source
    ask: str
    """The question about the text, put after it."""
    labels: tuple[str, ...] | None = None
    """All labels, in the order in which the model sees them; null takes those that occur in the rows, sorted."""

    def items(self) -> list[Item]:
        return [
            Item(id=row.id, stratum=row.stratum, question=f"{row.text('text')}\n\n{self.ask}", gold=self._gold(row))
            for row in self.source.rows()
        ]

    @cached_property
    def _labels(self) -> tuple[str, ...]:
        return self.labels or tuple(sorted({row.text("label") for row in self.source.rows()}))

    def _gold(self, row: SourceRow) -> str:
        """Only the label exactly as the set writes it: anything else in a data file is a mistake, not a spelling."""
        label = row.text("label")
        if label not in self._labels:
            row.reject("label", f"{label!r} is outside the set of labels: {', '.join(self._labels)}")
        return label

    def kind(self, item: Item) -> AnswerKind:
        return Label(labels=self._labels)
