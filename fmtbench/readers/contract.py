r"""The contract of somebody else's study: the mark or the object that its prompt demanded.

    DemandedMark(r'Answer\("(?P<answer>[A-E])"\)')          the last place that matches states the answer
    DemandedObject(fields=("thoughts", "final"), answer="final")      one JSON object with these keys in this order

A contract only locates: the answer kind normalises and judges, as for every reader.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from fmtbench.answers import AnswerKind
from fmtbench.errors import UserError
from fmtbench.formats import FORMATS
from fmtbench.formats.base import Layout, Order
from fmtbench.formats.statements import MOST
from fmtbench.formats.steps import Rationale
from fmtbench.readers.reply import ends, place_in_whole
from fmtbench.time_limit import time_limit
from fmtbench.types import Extraction

GROUP = "answer"
SECONDS = 1.0
"""The most processor time for a mark on one reply: a sound expression takes microseconds, one that backtracks endlessly years."""


class Contract(Protocol):
    """What a study demanded of a reply."""

    def read(self, reply: str, kind: AnswerKind) -> Extraction: ...

    def stated(self, reply: str) -> list[tuple[str, tuple[int, int]]]:
        """Every place in the reply that keeps the contract's mark, in order."""
        ...


@dataclass(frozen=True)
class DemandedMark:
    """A regular expression with a group `answer`. Raises `UserError` if it does not compile or has no such group."""

    source: str

    def __post_init__(self) -> None:
        if GROUP not in self.pattern.groupindex:
            raise UserError(f"contract.mark={self.source}: it needs a group of the name answer, as in Answer: (?P<answer>[A-E])")

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        try:
            return re.compile(self.source)
        except (re.error, RecursionError, OverflowError) as error:
            raise UserError(f"contract.mark={self.source} is no regular expression ({error}): mend it") from error

    def read(self, reply: str, kind: AnswerKind) -> Extraction:
        """The last match. Raises `UserError` if matching a reply takes longer than `SECONDS`."""
        found = self.stated(reply)
        if not found:
            return Extraction(status="no_mark" if reply.strip() else "no_answer")
        answer, span = found[-1]
        return Extraction(status="ok", answer=answer, span=span) if answer.strip() else Extraction(status="no_answer")

    def stated(self, reply: str) -> list[tuple[str, tuple[int, int]]]:
        """Raises `UserError` where matching a reply takes longer than `SECONDS`."""
        with _limited(self.source):
            matches = deque(self.pattern.finditer(ends(reply)), maxlen=MOST)
        return [(one[GROUP] or "", place_in_whole(one.span(GROUP), len(reply))) for one in matches]


@dataclass(frozen=True, kw_only=True)
class DemandedObject:
    """One JSON object and nothing else, a fence around it allowed, with these keys in this order.

    Raises `UserError` if the answer's key is neither the first nor the last, or a key occurs twice.
    """

    fields: tuple[str, ...]
    answer: str
    rationale: Rationale = "string"

    def __post_init__(self) -> None:
        said = f"contract.fields={list(self.fields)} contract.answer={self.answer}"
        if len(set(self.fields)) < len(self.fields):
            raise UserError(f"{said}: a key occurs twice; give each once, in the order that the prompt demanded")
        if self.answer not in (self.fields[0], self.fields[-1]):
            raise UserError(f"{said}: the answer must be the first key or the last")

    @property
    def layout(self) -> Layout:
        stages = tuple(name for name in self.fields if name != self.answer)
        first = bool(stages) and self.fields[0] == self.answer
        order: Order = "answer_first" if first else "reasoning_first"
        return Layout(stages=stages, answer=self.answer, order=order, rationale=self.rationale)

    def read(self, reply: str, kind: AnswerKind) -> Extraction:
        return FORMATS["json"].read(reply, self.layout, kind)

    def stated(self, reply: str) -> list[tuple[str, tuple[int, int]]]:
        """Nothing: the places of the keys tell everything."""
        return []


@contextmanager
def _limited(source: str) -> Iterator[None]:
    """Python's matcher checks for signals as it backtracks, so an alarm ends it."""
    try:
        with time_limit(SECONDS, of_processor=True):
            yield
    except TimeoutError as error:
        raise UserError(
            f"contract.mark={source} takes longer than {SECONDS:g} s on one reply: leave out repeats inside repeats, as (a+)+"
        ) from error
