"""The answer kinds by the names that command lines use."""

from __future__ import annotations

from fmtbench.answers.base import AnswerKind
from fmtbench.answers.math import Math
from fmtbench.answers.number import Number
from fmtbench.answers.words import Set, Text
from fmtbench.answers.yes_no import YesNo

KINDS: dict[str, AnswerKind] = {"number": Number(), "yes_no": YesNo(), "text": Text(), "math": Math(), "set": Set()}
ANSWERS = (*KINDS, "choice", "label")
"""A choice needs its options, and a label its set."""
GSM8K_MARK = "####"


def final(gold: str, answer: str) -> str:
    """What follows the last mark of a solution of GSM8K's (`... #### 12`); any other gold answer unchanged."""
    return gold.rpartition(GSM8K_MARK)[2].strip() if answer in ("number", "math") and GSM8K_MARK in gold else gold
