"""A format is one file and one YAML: that of tests/added_format is asked for, written and read, and nothing else changes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fmtbench.formats
from experiments.starting.build import build_group
from fmtbench.answers import AnswerKind, Number, Text
from fmtbench.conditions.condition import Condition
from fmtbench.decoding.grammar import allows
from fmtbench.formats import FORMATS, discover
from fmtbench.formats.base import Field, Format, Syntax
from fmtbench.formats.structured import StructuredFormat
from fmtbench.readers.latent import read_latent
from fmtbench.readers.plain import plain_rationale, plain_reply
from fmtbench.running.logs import Transcript
from fmtbench.running.transcripts import rescore
from fmtbench.types import Generation, Item
from tests.conftest import composed
from tests.forms import CASES
from tests.test_plain import RATIONALE
from tests.test_round_trip import ANSWERS, KINDS, ORDERS, layout

ADDED = Path(__file__).parent / "added_format"


@pytest.fixture(scope="module")
def assigned() -> Iterator[Condition]:
    """The condition assigned_prompt, with the file beside the formats' and the YAML beside the conditions'."""
    before = dict(FORMATS)
    fmtbench.formats.__path__.append(str(ADDED))
    discover()
    conf = f"hydra.searchpath=[file://{ADDED}]"
    yield build_group(composed("condition=[assigned_prompt]", conf).condition)["assigned_prompt"]
    fmtbench.formats.__path__.remove(str(ADDED))
    del sys.modules["fmtbench.formats.assigned"]
    FORMATS.clear()
    FORMATS.update(before)


def read(condition: Condition, text: str, kind: AnswerKind) -> Any:
    return condition.read(Generation(key="", text=text), kind)


def test_it_is_asked_for(assigned: Condition, prompts: dict[str, Any]) -> None:
    (message,) = assigned.render(Item(id="x", question="What is 9 * 2?", gold="18"), Number(), prompts["plain"])
    form = 'assignments of this form, with the names in this order:\nreasoning := "<text>"\nanswer := <number>'
    assert form in message.content
    assert list(FORMATS) == ["tool", "json", "xml", "yaml", "toml", "assigned", "markdown", "csv", "prose", "text"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
def test_every_answer_kind_comes_back(assigned: Condition, kind: Any) -> None:
    answer = ANSWERS[type(kind).__name__]
    text = assigned.example(kind, RATIONALE, answer)
    assert read(assigned, text, kind).answer == answer
    assert read(assigned, f"```assigned\n{text}\n```", kind).answer == answer
    assert assigned.constraint(kind) is None or allows(assigned.constraint(kind), text)


@given(
    st.sampled_from(ORDERS),
    st.booleans(),
    st.text(max_size=80),
    st.text(min_size=1, max_size=40).filter(str.strip),
    st.booleans(),
)
def test_it_gives_back_any_answer(
    assigned: Condition, order: str, staged: bool, reasoning: str, answer: str, fenced: bool
) -> None:
    written, plan = FORMATS["assigned"], layout(order, staged)
    text = written.write(plan, Text(), reasoning, answer)
    text = f"```assigned\n{text}\n```" if fenced else text
    found = written.read(text, plan, Text())
    assert (found.status, found.answer) == ("ok", answer)
    assert len(found.reasoning) == len(plan.stages)


@pytest.mark.parametrize(("kind", "gold", "verdict", "form"), CASES)
def test_it_is_judged_like_any_other(assigned: Condition, kind: AnswerKind, gold: str, verdict: bool, form: str) -> None:
    text = assigned.example(kind, reasoning="Let me think about it.", answer=form)
    assert kind.same(read(assigned, text, kind).answer, gold) is verdict
    assert kind.same(read_latent(text, kind).answer, gold) is verdict


@pytest.mark.parametrize(
    "text",
    [
        'Sure:\n```assigned\nreasoning := "9 * 2 = 18, not 17."\nanswer := 18\n```\nThere were 5 more.',
        'final_answer := "18"\nreasoning := "9 * 2, and 5 more',
        "Answer := '18'\nnote := 5",
    ],
)
def test_it_is_found_leniently(assigned: Condition, text: str) -> None:
    assert Number().same(read_latent(text, Number()).answer, "18")


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", "no_answer"),
        ("18", "no_mark"),
        ("[table]\nanswer := 18", "another_mark"),
        ('answer := 18\nreasoning := "18"', "schema_violation"),
        ('reasoning := "18"\nanswer := [18]', "schema_violation"),
        ('reasoning := "18"\nanswer := ""', "no_answer"),
    ],
)
def test_what_breaks_its_contract(assigned: Condition, text: str, status: str) -> None:
    assert read(assigned, text, Number()).status == status


def test_its_words_remain_without_its_syntax(assigned: Condition) -> None:
    for staged in (False, True):
        text = FORMATS["assigned"].write(layout("reasoning_first", staged), Number(), RATIONALE, "12")
        words = " ".join([RATIONALE] * (1 + staged))
        assert plain_rationale(text) == plain_rationale(f"```assigned\n{text}\n```") == words
        assert plain_reply(text) == f"{words} 12"


@pytest.mark.parametrize("written", ["assigned", "auto"])
def test_transcripts_are_read_as_it(assigned: Condition, written: str) -> None:
    text = FORMATS["assigned"].write(layout("reasoning_first"), Number(), RATIONALE, "12")
    one = Transcript(id="1", text=text, kind=Number(), golds=("12",), finish_reason="stop")
    (row,) = rescore([one], "number", written, experiment="x")
    assert (row.condition, row.status, row.answer, row.correct, row.latent_correct) == ("assigned", "ok", "12", True, True)


def test_other_formats_are_guessed_as_before(assigned: Condition) -> None:
    for name in ("json", "xml", "yaml", "markdown"):
        text = FORMATS[name].write(layout("reasoning_first"), Number(), RATIONALE, "12")
        one = Transcript(id="1", text=text, kind=Number(), golds=("12",), finish_reason="stop")
        (row,) = rescore([one], "number", "auto", experiment="x")
        assert (row.condition, row.answer) == (name, "12")


# -- what is forgotten fails where it is defined

WHOLE: dict[str, Any] = {
    "__module__": __name__,
    "name": "nothing",
    "precedence": 99,
    "languages": (),
    "syntax": Syntax(answer=None),
    "form": lambda *_: "nothing",
    "write": lambda *_: "",
    "parse": lambda *_: None,
    "find": lambda *_: (),
}


@pytest.mark.parametrize("part", [part for part in WHOLE if not part.startswith("_")])
def test_a_format_without_one_of_its_parts_cannot_be_defined(part: str) -> None:
    before = dict(FORMATS)
    with pytest.raises(TypeError, match=rf"^the format Nothing lacks {part}: its file must say all about it$"):
        type("Nothing", (StructuredFormat,), {key: value for key, value in WHOLE.items() if key != part})
    assert before == FORMATS


@pytest.mark.parametrize("method", ["ask", "read", "parts"])
def test_no_structured_format_reads_in_its_own_way(method: str) -> None:
    with pytest.raises(TypeError, match=rf"Nothing overrides {method}, the same for every structured format"):
        type("Nothing", (StructuredFormat,), WHOLE | {method: lambda *_: None})


def test_a_name_belongs_to_one_format() -> None:
    with pytest.raises(TypeError, match=r"the format name 'json' of .* belongs to fmtbench.formats.json"):
        type("Json", (StructuredFormat,), WHOLE | {"name": "json"})


def test_a_format_without_fields_says_so_too() -> None:
    with pytest.raises(TypeError, match=r"Plain lacks ask, find, read, write, name, precedence, syntax"):
        type("Plain", (Format,), {})


def test_a_field_is_a_name_what_it_holds_and_its_place() -> None:
    assert list(FORMATS["json"].find('{"answer": 18}')) == [Field("answer", "18", (11, 13))]
