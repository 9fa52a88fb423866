"""R11: hostile replies and made-up ones, by every reader there is: no crash, no long wait, a status that fits."""

from __future__ import annotations

import time
from itertools import cycle
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fmtbench.answers import AnswerKind
from fmtbench.readers.latent import read_latent
from fmtbench.readers.marked import read_marked
from fmtbench.readers.transcripts import TEXT, guess_format, read_transcript, readable
from fmtbench.running.verdicts import rationale
from fmtbench.types import Extraction, FinishReason, Generation, Status
from tests.pace import within
from tests.test_reading import HOSTILE, KINDS, LIMIT_S

LENGTH = 10_000
SHAPES = (
    "{}",
    "The answer is {}",
    '{{"reasoning": "{}", "answer": 18}}',
    '{{"answer": "{}"}}',
    "<reasoning>{}</reasoning><answer>{}",
    "reasoning: |\n  {}\nanswer: {}",
    "## Reasoning\n{}\n## Answer\n18",
    "```json\n{}\n```",
    r"\boxed{{{}}}",
    "{}\nThe answer is 18.\n{}",
)
"""Places in a reply: 50 units in ten places are 500 hostile replies."""
REPLIES = [shape.replace("{}", unit * (LENGTH // len(unit))) for unit in HOSTILE for shape in SHAPES]
FINISHED: list[FinishReason] = list(get_args(FinishReason))
STATUSES = set(get_args(Status))


def read_by_all(text: str, kind: AnswerKind, finish_reason: FinishReason, conditions: dict[str, Any]) -> None:
    """Every reader on one reply; fails where one is slow, or what it finds is not of the text."""
    generation = Generation(key="", text=text, finish_reason=finish_reason)
    for read in (read_latent, read_marked):
        check(timed(read, text, kind), text)
    for written in (TEXT, *readable()):
        check(timed(read_transcript, generation, kind, written), text)
    for condition in conditions.values():
        found = timed(condition.read, generation, kind)
        check(found, text)
        assert (found.status == "engine_error") == (finish_reason == "error")
    assert timed(guess_format, text, kind) in (TEXT, *readable())
    assert len(timed(rationale, text, kind)) <= len(text)


def timed(read: Any, *arguments: Any) -> Any:
    started = time.process_time()
    found = read(*arguments)
    assert time.process_time() - started < LIMIT_S or within(LIMIT_S, read, *arguments), read
    return found


def check(found: Extraction, text: str) -> None:
    assert found.status in STATUSES
    assert (found.answer is None) or found.status == "ok"
    for start, end in (*([found.span] if found.span else []), *found.reasoning):
        assert 0 <= start <= end <= len(text)


def parts() -> list[Any]:
    """Every 61st one, those that are white space between the marks of a format, and all."""
    blank = [text for text in REPLIES if sum(map(str.isspace, text)) > 0.9 * LENGTH]
    whole = [REPLIES[k : k + 50] for k in range(0, len(REPLIES), 50)]
    return [REPLIES[::61], blank, *(pytest.param(some, marks=pytest.mark.slow) for some in whole)]


@pytest.mark.parametrize("replies", parts(), ids=len)
def test_hostile_replies(replies: list[str], conditions: dict[str, Any]) -> None:
    kinds, ends = cycle(KINDS.values()), cycle(FINISHED)
    few = list(conditions.items())
    for number, text in enumerate(replies):
        chosen = dict(few[number % 3 :: 3])  # each third of the conditions in turn
        read_by_all(text, next(kinds), next(ends), chosen)


def test_there_are_five_hundred() -> None:
    assert len(set(REPLIES)) >= 490


PIECES = (
    *(unit.strip(" ") or " " for unit in HOSTILE),
    '{"reasoning": "', '", "answer": "', '"}', "<reasoning>", "</answer>", "reasoning: |\n  ", "\nanswer: ", "(B)", "**B**", "18",
    "-1,234.5", "positive", "not ", "The answer is", "no answer", "I cannot", "<think>", "\u2028", "\ufffd", "😀", "정답",
)  # fmt: skip
MADE = st.lists(st.sampled_from(PIECES) | st.text(max_size=12), max_size=14).map("".join)


def property_test(examples: int) -> Any:
    """The readers on so many made-up replies of one kind of answer."""

    @settings(max_examples=examples, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(MADE, st.sampled_from(FINISHED), st.randoms(use_true_random=False))
    def holds(kind: AnswerKind, conditions: dict[str, Any], text: str, finish_reason: FinishReason, rng: Any) -> None:
        name = rng.choice(sorted(conditions))
        read_by_all(text, kind, finish_reason, {name: conditions[name]})

    return holds


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("examples", [20, pytest.param(14_300, marks=pytest.mark.slow)])
def test_made_up_replies(name: str, examples: int, conditions: dict[str, Any]) -> None:
    """In the long form 100,000 over the seven kinds."""
    property_test(examples)(KINDS[name], conditions)
