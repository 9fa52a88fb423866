"""The rule of fairness: every surface form of every answer kind, written in every condition's own format, has one verdict.

A condition writes and reads by its format and its layout alone, so each such pair is tested once.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
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
WHOLE, SHARE = 8, 6
"""So many golds of a task are written in every reading; of those after them each is written in a sixth of them, the next one in
another sixth. The long form writes every gold in every reading."""
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


def check_gold(name: str, kind: AnswerKind, gold: str, conditions: Sequence[Condition]) -> None:
    """A perfect reply is right by all three readings, in the format and order of each condition."""
    for condition in conditions:
        if isinstance(kind, Record) and condition.layout.arrangement.forced and None in json.loads(gold).values():
            continue
        text = condition.example(kind, "We work it out step by step.", gold)
        found = condition.read(Generation(key="", text=text), kind)
        for reader, answer in (("strict", found.answer), ("marked", marked(text, kind)), ("latent", latent(text, kind))):
            assert kind.same(answer, gold), (name, reader, text)


def shares(names: Sequence[str], readings: Sequence[Condition]) -> Iterator[Sequence[Condition]]:
    """For a gold of each of these tasks the readings that it is written in."""
    seen: Counter[str] = Counter()
    for name in names:
        seen[name] += 1
        yield readings if seen[name] <= WHOLE else readings[seen[name] % SHARE :: SHARE]


def marked(text: str, kind: AnswerKind) -> str | None:
    return read_marked(text, kind).answer


def latent(text: str, kind: AnswerKind) -> str | None:
    return read_latent(text, kind).answer


def test_a_perfect_reply_to_any_item_is_right_in_every_format_by_every_reading(
    tasks: dict[str, Any], readings: dict[Reading, Condition]
) -> None:
    tried = list(golds(tasks))
    assert len(tried) > 500
    for one, some in zip(tried, shares([name for name, *_ in tried], list(readings.values()))):
        check_gold(*one, some)


def test_every_reading_has_its_share_of_every_task(readings: dict[Reading, Condition]) -> None:
    every = list(readings.values())
    written = list(shares(["few"] * WHOLE + ["many"] * (WHOLE + SHARE), every))
    assert written[: 2 * WHOLE] == [every] * 2 * WHOLE
    assert sorted(map(id, (one for some in written[2 * WHOLE :] for one in some))) == sorted(map(id, every))


@pytest.mark.slow
@pytest.mark.parametrize("name", options("task"))
def test_every_gold_is_right_in_every_format(name: str, readings: dict[Reading, Condition]) -> None:
    """Of the real files, where they are, and of what the tasks make themselves."""
    config = composed(f"task={name}", f"data_root={DATA}")
    source = config.task[name].get("source")
    if source and not (DATA / source.file).exists():
        pytest.skip(f"{source.file} is not on this machine")
    tried = list(golds(build_group(config.task)))
    assert tried
    for one in tried:
        check_gold(*one, list(readings.values()))


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
