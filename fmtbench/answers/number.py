"""Numbers: `$1,234.00`, `1234` and `1.234e3` are the same one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Any, ClassVar

from pydantic.dataclasses import dataclass

import fmtbench.answers.numerals as numerals
import fmtbench.answers.spelling as spelling
from fmtbench.answers.base import STRICT, AnswerKind

NUMBER = re.compile(
    r"(?<![\w.,^])(?P<sign>(?<![)\d])[-+])?[$€£¥₩]?(?P<sign2>(?<=[$€£¥₩])-)?"
    r"(?P<digits>(?:\d{1,3}(?:,\d{3})+(?![\d])|\d+)(?:\.\d+)?|\.\d+)(?P<exponent>[eE][-+]?\d{1,3}(?!\w))?"
    r"(?:/(?P<under>\d+)(?![\d/]))?"
)
QUANTITY = re.compile(
    # With everything that belongs to the number, so that no part of it is read alone.
    rf"(?:[±√]\s?|\\(?:pm|sqrt)\s?\{{?|\b(?:minus|negative)\s)?{NUMBER.pattern}"
    r"(?:[ -]?(?:hundred|thousand|million|billion|trillion)s?\b|[kK]\b|\s?[억만천백](?:\s?\d+[만천백]?)*)?"
    r"(?:\s?(?:×|x|\*|\\times)\s?10\s?\^\s?\{?-?\d{1,3}\}?|\s?\^\s?\{?-?\d{1,3}\}?|[⁰¹²³⁴⁵⁶⁷⁸⁹]+)?"
    r"(?:\s?(?:π|√|\\pi|\\sqrt)[\d{]*|[xyz](?![A-Za-z]))?"
)
UNREAD_BEFORE = re.compile(
    r"(?:[±√<>≤≥]|\b(?:more|less|greater|fewer|higher|lower) than"
    r"|\bat (?:least|most)|\b(?:over|under|above|below|either|not|up to"
    r"|between))\W{0,3}$",
    re.I,
)
UNREAD_AFTER = re.compile(
    # An unfinished calculation, a variable, a second number: this is not a single number.
    r"\s{0,2}[×^√π±]|\s{0,2}\*\s{0,2}[\d(]|\s{0,2}[-+/]\s{0,2}[$€£]?[\d(]|\s?[xyzni](?![a-zA-Z])|[,:_'’.]\d|[A-Za-z]+\d"
    r"|%?\s{1,2}(?:or|and|to)\s{1,2}[$€£]?-?\.?\d(?!\d*\s?(?:/|%))|,?\s{1,2}or\s{1,2}[$€£]?\d|,\s{1,2}\d[\d.,]*\s{0,2}(?:$|,|and\b|or\b)|%?\s?[-–]\s?\d"
)
MEASURES = r"(?:hours?|hrs?|h|minutes?|mins?|feet|foot|ft|pounds?|lbs?|weeks?|days?|years?|months?|dollars?)"
PARTS = r"(?:minutes?|mins?|seconds?|secs?|inch(?:es)?|in|ounces?|oz|days?|hours?|months?|weeks?|cents?)"
TWO_MEASURES = re.compile(rf"\s?{MEASURES},?\s(?:and\s)?\d+\s?{PARTS}\b", re.I)
TWO_SOLUTIONS = re.compile(r"\d\s{1,3}(?:or|and)\s{1,3}[a-z]\w{0,2}\s?=|\b(?:or|and)\b.{0,20}\b(?:solutions|values)\b")
STEPS = re.compile(r"^\s{0,9}\d{1,2}[.)]\s", re.M)
CLAUSE = re.compile(r"\W{0,3}that\s", re.I)
PREFIX = 3
"""Words before a number that is one of several: further on, it is part of a sentence."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Number(AnswerKind):
    """A number with all that is written to it: thousands commas, currency, units, percent signs and unicode minus do not
    matter; powers, millions and words are worked out; a range, a bound, a multiple of pi or a duration in two units is none."""

    numeric: ClassVar[bool] = True

    def hint(self) -> str:
        return "Answer with a number."

    def annotation(self) -> Any:
        return float

    def placeholder(self) -> str:
        return "<number>"

    def canon(self, answer: str) -> str | None:
        """The one number of a text, or the result of a calculation that is written out (`9 * 2 = 18`, `18 = 9 * 2`)."""
        return None if len(answer) > numerals.LONGEST else _canon(answer)

    def mentions(self, text: str) -> Iterator[tuple[int, int]]:
        for match in QUANTITY.finditer(text.translate(spelling.MINUS_SIGNS)):
            yield match.span()


@lru_cache(maxsize=1024)  # the readings of one reply ask a dozen times for the same two or three
def _canon(answer: str) -> str | None:
    text = numerals.in_digits(answer)
    if TWO_SOLUTIONS.search(text) or len(STEPS.findall(text)) > 1:
        return None
    sides = [side for side in re.split(r"=|≈", text) if side.strip()]
    if len(sides) > 1:
        return next(filter(None, map(_one, reversed(sides))), None)
    return _one(text)


def _one(text: str) -> str | None:
    """The number that comes first, if nothing beside it changes it; the last one of a clause ("that 9 eggs bring 18")."""
    found = list(NUMBER.finditer(text))
    if not found:
        return None
    first = found[-1] if CLAUSE.match(text) else found[0]
    values = {_value(match) for match in found}
    if len(values) > 1 and first is found[0] and len(re.findall(r"[^\W\d]+", text[: first.start()])) > PREFIX:
        return None
    before, after = text[max(0, first.start() - 30) : first.start()], text[first.end() : first.end() + 60]
    if UNREAD_BEFORE.search(before) or UNREAD_AFTER.match(after) or TWO_MEASURES.match(after):
        return None
    return _value(first)


def _value(match: re.Match[str]) -> str | None:
    """The canonical text of one number."""
    sign = "-" if "-" in (match["sign"], match["sign2"]) else ""
    if len(match["digits"]) > numerals.LONGEST or (match["under"] and not int(match["under"])):
        return None
    value = numerals.fraction(sign + match["digits"] + (match["exponent"] or ""))
    return numerals.shown(value / int(match["under"]) if match["under"] else value + Fraction(0))
