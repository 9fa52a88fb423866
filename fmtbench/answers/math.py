"""Mathematical expressions as answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic.dataclasses import dataclass

import fmtbench.answers.mathematics as mathematics
import fmtbench.answers.spelling as spelling
from fmtbench.answers.base import STRICT, AnswerKind
from fmtbench.answers.number import Number


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Math(AnswerKind):
    """A mathematical expression, in LaTeX or plain signs; equal values are equal answers (see `mathematics.py`)."""

    def hint(self) -> str:
        return "Answer with a mathematical expression."

    def annotation(self) -> Any:
        return str

    def placeholder(self) -> str:
        return "<expression>"

    def canon(self, answer: str) -> str | None:
        """The parsed value as sympy prints it; a word as it is."""
        if answer.strip() == self.placeholder() or len(answer) > mathematics.LONGEST:
            return None
        found = mathematics.expressions(answer)
        return str(found[0]) if found else spelling.squeeze(answer) or None

    def same(self, answer: str | None, gold: str) -> bool:
        if answer is None or self.canon(answer) is None:
            return False
        return mathematics.equal(gold, answer) or self.canon(answer) == self.canon(gold)

    def mentions(self, text: str) -> Iterator[tuple[int, int]]:
        """Formulas in dollar signs or brackets; numbers, where there are none."""
        formulas = [match.span() for match in re.finditer(r"\$[^$\n]+\$|\\\(.+?\\\)|\\\[.+?\\\]", text)]
        yield from formulas or Number().mentions(text)
