"""Numbers: `$1,234.00`, `1234` and `1.234e3` are the same one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, DivisionByZero, InvalidOperation
from typing import Any, ClassVar

from pydantic.dataclasses import dataclass

import fmtbench.answers.spelling as spelling
from fmtbench.answers.base import STRICT, AnswerKind

NUMBER = re.compile(
    r"(?<![\w.,])(?P<sign>(?<!\))[-+])?[$€£¥₩]?(?P<sign2>(?<=[$€£¥₩])-)?"
    r"(?P<digits>(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)(?P<exponent>[eE][-+]?\d{1,3}(?!\w))?"
    r"(?:/(?P<under>\d+)(?![\d/]))?"
)

SPACED = re.compile(r"^(\W*)(\d{1,3}(?: \d{3})+)(?![\d/.-])")
"""Thousands set apart by spaces, where an answer begins with them."""
MIXED = re.compile(r"(?<![\w.,/])(-?)(\d+) (\d+)/(\d+)(?![\d/])")
RANGE = re.compile(r"\W{0,3}\d[^\s]*?%?(?:\s*-\s*|\s+(?:to|or)\s+|:)[$€£]?\d|\W*between\s+\S*\d\S*\s+and\s+\S*\d", re.I)
"""`10-12`, `10 or 12`, `between 10 and 12`, `12:30`: no one number."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Number(AnswerKind):
    """A number: thousands commas, currency, units, percent signs and unicode minus do not matter; a range is none."""

    numeric: ClassVar[bool] = True

    def hint(self) -> str:
        return "Answer with a number."

    def annotation(self) -> Any:
        return float

    def placeholder(self) -> str:
        return "<number>"

    def canon(self, answer: str) -> str | None:
        """The first number, or the number after the last `=` of a written-out calculation."""
        text = SPACED.sub(lambda match: match[1] + match[2].replace(" ", ""), spelling.plain(answer))
        text = MIXED.sub(_improper, text)
        if RANGE.match(text) and "=" not in text:
            return None
        found = list(NUMBER.finditer(text.rpartition("=")[2])) or list(NUMBER.finditer(text))
        return _decimal(found[0]) if found else None

    def mentions(self, text: str) -> Iterator[tuple[int, int]]:
        for match in NUMBER.finditer(text.translate(spelling.MINUS_SIGNS)):
            yield match.span()


def _improper(match: re.Match[str]) -> str:
    """`2 1/2` as `5/2`."""
    sign, whole, over, under = match.groups()
    return f"{sign}{int(whole[:30]) * int(under[:30]) + int(over[:30])}/{under}"


def _decimal(match: re.Match[str]) -> str | None:
    """Exact decimal text without trailing zeros; `3/4` becomes 0.75."""
    sign = "-" if "-" in (match["sign"], match["sign2"]) else ""
    try:
        value = Decimal(sign + match["digits"].replace(",", "") + (match["exponent"] or ""))
        if match["under"]:
            value /= Decimal(match["under"])
    except (InvalidOperation, DivisionByZero):
        return None
    return format(value.normalize() + 0, "f") if value.adjusted() < 40 else str(value.normalize())
