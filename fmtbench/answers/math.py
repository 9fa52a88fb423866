"""Mathematical expressions as answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic.dataclasses import dataclass

import fmtbench.answers.expressions as expressions
import fmtbench.answers.spelling as spelling
from fmtbench.answers.base import STRICT, AnswerKind
from fmtbench.answers.number import Number


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Math(AnswerKind):
    """A mathematical expression, in LaTeX or plain signs; equal values are equal answers (see `expressions.py`)."""

    def hint(self) -> str:
        return "Answer with a mathematical expression."

    def annotation(self) -> Any:
        return str

    def placeholder(self) -> str:
        return "<expression>"

    def canon(self, answer: str) -> str | None:
        """The parsed value as sympy prints it; a word as it is."""
        if answer.strip() == self.placeholder() or len(answer) > expressions.LONGEST:
            return None
        found = expressions.parsed(answer)
        return str(found[0]) if found else spelling.squeeze(answer) or None

    def readable(self, answer: str) -> bool:
        """Anything with a letter or a digit; parsing to find out would take long."""
        if answer.strip() == self.placeholder() or len(answer) > expressions.LONGEST:
            return False
        return any(c.isalnum() for c in answer) or "∞" in answer

    def same(self, answer: str | None, gold: str) -> bool:
        if answer is None or not self.readable(answer):
            return False
        literal = expressions.literally(answer, gold)
        if literal is not None:
            return literal
        return any(
            expressions.equal(known, given) or self.canon(given) == self.canon(known)
            for known, given in expressions.percentages(gold, answer)
        )

    def mentions(self, text: str) -> Iterator[tuple[int, int]]:
        """Formulas in dollar signs or brackets; if there are none, numbers."""
        formulas = [match.span() for match in re.finditer(r"\$[^$\n]{1,300}\$|\\\(.{1,300}?\\\)|\\\[.{1,300}?\\\]", text)]
        yield from formulas or Number().mentions(text)
