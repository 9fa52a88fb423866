"""Why a reply broke its contract, if its own reader cannot tell: it was cut off, ran into a loop, or the model refused.

A contract's reader says `no_mark` if a reply is not in its form. Whether such a reply states its answer by another mark is
determined here, for runs and transcripts alike, so that `another_mark` means one thing.
"""

from __future__ import annotations

import re

from fmtbench.answers import AnswerKind
from fmtbench.readers.marked import read_marked
from fmtbench.types import Extraction, Generation, Status

TAIL = 400
LONGEST_PERIOD = 80
REFUSAL = re.compile(
    r"^\W*+(?:I['’]?m (?:very |so )?sorry|Sorry|I apologi[sz]e|I (?:can(?:no|['’])?t|am unable to|am not able to|won['’]t)|"
    r"As an AI\b.{0,80}(?:can(?:no|['’])?t|unable))",
    re.I | re.S,
)


def name_failure(extraction: Extraction, generation: Generation, kind: AnswerKind) -> Status:
    """The status of a generation, given what its contract's reader found."""
    if generation.finish_reason == "error":
        return "engine_error"
    if generation.finish_reason == "length" and not _closed(extraction, generation):
        if in_loop(generation.text):
            return "loop"
        return "missing_trigger" if extraction.status == "missing_trigger" else "truncated"
    if extraction.status in ("no_mark", "missing_trigger", "no_answer") and REFUSAL.match(generation.text):
        return "refused"
    if extraction.status == "no_mark" and read_marked(generation.text, kind).status == "ok":
        return "another_mark"
    return extraction.status


def _closed(extraction: Extraction, generation: Generation) -> bool:
    """The answer was complete before the token limit: more text follows it."""
    return extraction.span is not None and extraction.span[1] < len(generation.text.rstrip())


def in_loop(text: str) -> bool:
    """Whether the text ends in one phrase (or white space) repeated, at least five times."""
    tail = text[-TAIL:]
    for period in range(1, min(LONGEST_PERIOD, len(tail) // 5) + 1):
        run = max(5 * period, 12)
        if len(tail) >= run + period and tail[-run:] == tail[-run - period : -period]:
            return True
    return False
