"""The rule of fairness: every surface form of every answer kind, written in every condition's own format, has one verdict.

A condition writes and reads by its format and its layout alone, so each such pair is tested once.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from experiments.starting.build import build_group
from fmtbench.answers import AnswerKind, Record
from fmtbench.conditions.condition import Condition
from fmtbench.conditions.delayed import DelayedFormat
from fmtbench.formats import FORMATS
from fmtbench.formats.base import Layout
from fmtbench.readers.latent import read_latent
from fmtbench.readers.marked import read_marked
from fmtbench.types import Generation
from tests.conftest import DATA, composed, options
from tests.forms import CASES, FORMS
from tests.readings import Reading, distinct, reading

RECORDS = 5
"""Of each task; one takes as long as fifty numbers, and tests/test_records.py tries many."""
BROKEN = ("", "no answer", '{"answer": 1}', "<answer>1</answer>", "answer: 1", "## Answer\n1", "The answer is 1.", '{"answer"')


@pytest.fixture(scope="module")
def readings(conditions: dict[str, Any]) -> dict[Reading, Condition]:
    return distinct(conditions.values())


@pytest.mark.parametrize(("kind", "gold", "verdict", "form"), CASES)
def test_one_verdict_in_every_reading(
    readings: dict[Reading, Condition], kind: AnswerKind, gold: str, verdict: bool, form: str
) -> None:
    for condition in readings.values():
        text = condition.example(kind, reasoning="Let me think about it.", answer=form)
        found = condition.read(Generation(key="", text=text), kind)
        assert found.status == "ok", text
        assert kind.same(found.answer, gold) is verdict, text
        assert kind.same(read_latent(text, kind).answer, gold) is verdict, text


def golds(tasks: dict[str, Any]) -> Iterator[tuple[str, AnswerKind, str]]:
    """Every gold answer of every task once for each answer kind it is judged by."""
    for name, task in tasks.items():
        known = set()
        for number, item in enumerate(task.items()):
            kind = task.kind(item)
            if isinstance(kind, Record) and number >= RECORDS:
                break
            if (kind, item.gold) not in known:
                known.add((kind, item.gold))
                yield name, kind, item.gold


def check_golds(tasks: dict[str, Any], readings: dict[Reading, Condition]) -> int:
    """A perfect reply is right by all three readings, in every format and order; how many golds were tried."""
    tried = list(golds(tasks))
    for name, kind, gold in tried:
        for condition in readings.values():
            if isinstance(kind, Record) and condition.layout.arrangement.forced and None in json.loads(gold).values():
                continue
            text = condition.example(kind, "We work it out step by step.", gold)
            found = condition.read(Generation(key="", text=text), kind)
            for reader, answer in (("strict", found.answer), ("marked", marked(text, kind)), ("latent", latent(text, kind))):
                assert kind.same(answer, gold), (name, reader, text)
    return len(tried)


def marked(text: str, kind: AnswerKind) -> str | None:
    return read_marked(text, kind).answer


def latent(text: str, kind: AnswerKind) -> str | None:
    return read_latent(text, kind).answer


def test_a_perfect_reply_to_any_item_is_right_in_every_format_by_every_reading(
    tasks: dict[str, Any], readings: dict[Reading, Condition]
) -> None:
    assert check_golds(tasks, readings) > 500


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the evaluation data is not on this machine")
@pytest.mark.parametrize("name", options("task"))
def test_every_gold_of_the_real_files_is_right_in_every_format(name: str, readings: dict[Reading, Condition]) -> None:
    config = composed(f"task={name}", f"data_root={DATA}")
    source = config.task[name].get("source")
    if source and not (DATA / source.file).exists():
        pytest.skip(f"{source.file} is not on this machine")
    assert check_golds(build_group(config.task), readings)


class Only(NamedTuple):
    """A condition of which nothing is left but what it reads by."""

    produced: Any
    returned: Layout


def test_the_readings_cover_every_condition(conditions: dict[str, Any], readings: dict[Reading, Condition]) -> None:
    """Every condition writes and reads, broken replies too, as the one that is tested for it does, by nothing but its reading."""
    assert {type(condition) for condition in conditions.values()} == {Condition}, "no condition has a reader of its own"
    assert len(readings) >= 15
    for name, condition in conditions.items():
        tested, only = readings[reading(condition)], Only(condition.produced, condition.returned)
        for kind, gold, _, _ in FORMS:
            text = condition.example(kind, "Let me think.", gold)
            assert text == tested.example(kind, "Let me think.", gold), name
            assert text == Condition.example(only, kind, "Let me think.", gold), name  # type: ignore[arg-type]
            for shown in (text, text[: len(text) // 2], *BROKEN):
                reply = Generation(key="", text=shown)
                found = condition.read(reply, kind)
                assert found == tested.read(reply, kind), name
                assert found == Condition.read(only, reply, kind), name  # type: ignore[arg-type]


def test_a_format_has_no_state_that_a_reading_would_miss(conditions: dict[str, Any]) -> None:
    for condition in conditions.values():
        produced = condition.produced
        if isinstance(produced, DelayedFormat):
            assert vars(produced).keys() == {"trigger", "inner"}
            produced = produced.inner
        assert not vars(produced)
        assert type(produced) is type(FORMATS[produced.name])
