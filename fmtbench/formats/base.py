"""What a contract is: the words that ask for a format, the reader that locates the answer in it, and an example.

The three live in one file per format (`text.py`, `json.py`), because they must agree: `read(example(answer))` gives
the answer back, for every answer (a property test).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

from fmtbench.answers import AnswerKind
from fmtbench.types import Extraction

Order = Literal["reasoning_first", "answer_first", "answer_only"]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The parts of a reply and their order: the same in every format."""

    stages: tuple[str, ...]
    """Names of the rationale's parts; one for plain reasoning, none for `answer_only`."""
    answer: str
    """Name of the answer field."""
    order: Order
    shown: bool = True
    """Whether the prompt shows the names and types of the fields."""

    @property
    def fields(self) -> tuple[str, ...]:
        """All parts in the order in which they are generated."""
        return (self.answer, *self.stages) if self.order == "answer_first" else (*self.stages, self.answer)


class Contract(ABC):
    """One output format."""

    @abstractmethod
    def ask(self, layout: Layout, kind: AnswerKind) -> str:
        """The sentence of the prompt that demands the format."""

    @abstractmethod
    def read(self, text: str, layout: Layout, kind: AnswerKind) -> Extraction:
        """Locate the answer in a finished text, or say which way the contract was broken."""

    @abstractmethod
    def example(self, layout: Layout, kind: AnswerKind, reasoning: str, answer: str) -> str:
        """A reply that keeps the contract; every stage carries `reasoning`."""
