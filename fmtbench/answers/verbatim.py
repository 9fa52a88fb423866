"""Text that must be given exactly: codes, addresses, identifiers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic.dataclasses import dataclass

from fmtbench.answers.base import STRICT, AnswerKind


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Verbatim(AnswerKind):
    """Exact text: case, signs and spaces inside matter; white space around it, and one pair of quotes or backticks, do not."""

    def hint(self) -> str:
        return "Answer with the exact text."

    def annotation(self) -> Any:
        return str

    def placeholder(self) -> str:
        return "<text>"

    def canon(self, answer: str) -> str | None:
        text = answer.strip()
        if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'`":
            text = text[1:-1]
        return text or None

    def mentions(self, text: str) -> Iterator[tuple[int, int]]:
        """Nothing: any words might be such a text."""
        return iter(())
