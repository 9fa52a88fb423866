"""What every answer kind offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import ConfigDict

STRICT = ConfigDict(extra="forbid")


class AnswerKind(ABC):
    """One sort of answer: its hint in words, JSON-schema type, canonical form and comparison."""

    numeric: ClassVar[bool] = False
    """Whether JSON writes the answer without quotation marks."""

    @abstractmethod
    def hint(self) -> str:
        """What the model is told about the answer: the same words in every condition."""

    @abstractmethod
    def annotation(self) -> Any:
        """The Python type of the answer field, from which pydantic makes the JSON schema."""

    @abstractmethod
    def placeholder(self) -> str:
        """What stands for the answer where a contract shows its shape."""

    @abstractmethod
    def canon(self, answer: str) -> str | None:
        """The one form that all spellings of an answer share; None if the text is no such answer."""

    def readable(self, answer: str) -> bool:
        """Whether a text is such an answer at all."""
        return self.canon(answer) is not None

    def recited(self, text: str) -> list[tuple[int, int]]:
        """Places that merely repeat what the question offers, and so are not an answer."""
        return []

    @abstractmethod
    def mentions(self, text: str) -> Iterator[tuple[int, int]]:
        """Spans in free text that might be an answer, in order: the last resort of the latent reader."""

    def same(self, answer: str | None, gold: str) -> bool:
        canonical = None if answer is None else self.canon(answer)
        return canonical is not None and canonical == self.canon(gold)
