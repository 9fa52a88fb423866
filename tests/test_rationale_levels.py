"""The axis `rationale` and what it is compared with: one string, a list, lines, and text without line breaks."""

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outlines_core import Index

from fmtbench.answers import Number, Record, Text
from fmtbench.conditions.condition import Condition
from fmtbench.decoding.grammar import allows, regex
from fmtbench.errors import UserError
from fmtbench.formats.steps import laid_out
from fmtbench.probes.alphabet import alphabet
from fmtbench.probes.replies import ProbedReply, probed
from fmtbench.readers.contract import DemandedObject
from fmtbench.readers.plain import plain_rationale
from fmtbench.running.verdicts import located, order_of, rationale
from fmtbench.store.folder import Planned
from fmtbench.types import Generation, Item, Request
from tests.test_grammar import VOCABULARY, walk

SCHEMA = {"asked": "json", "enforced": "schema"}
LEVELS: dict[str, dict[str, Any]] = {
    "string": SCHEMA,
    "list": SCHEMA | {"rationale": "list"},
    "lines": SCHEMA | {"rationale": "lines"},
    "prose lines": {"asked": "prose", "rationale": "lines"},
    "paragraph": {"rationale": "paragraph"},
    "one line": {"enforced": "one_line"},
}
REASONING = "Ann has 7 and buys 5. That makes twelve."
WRITTEN = {
    "string": '{"reasoning": "Ann has 7 and buys 5. That makes twelve.", "answer": 12}',
    "list": '{"reasoning": ["Ann has 7 and buys 5.", "That makes twelve."], "answer": 12}',
    "lines": '{"reasoning": "Ann has 7 and buys 5.\\nThat makes twelve.", "answer": 12}',
    "prose lines": "The reasoning is Ann has 7 and buys 5.\nThat makes twelve. The answer is 12.",
    "paragraph": "Ann has 7 and buys 5. That makes twelve. The answer is 12.",
    "one line": "Ann has 7 and buys 5. That makes twelve. The answer is 12.",
}
SHOWN = {
    "string": '{"reasoning": "<text>", "answer": <number>}',
    "list": '{"reasoning": ["<text>", "<text>"], "answer": <number>}',
    "lines": '{"reasoning": "<text>\\n<text>", "answer": <number>}',
    "prose lines": "The reasoning is <text>\n<text>. The answer is <number>.",
    "paragraph": "Write everything in one paragraph, without line breaks. At the end, state the answer",
    "one line": "At the end, state the answer",
}


def reply(text: str, finish: Any = "stop") -> Generation:
    return Generation(key="", text=text, finish_reason=finish)


@pytest.mark.parametrize("name", LEVELS)
def test_the_same_words_in_every_layout(name: str) -> None:
    condition = Condition(**LEVELS[name])
    text = condition.example(Number(), REASONING, "12")
    assert text == WRITTEN[name]
    assert SHOWN[name] in condition.contract(Number())
    found = condition.read(reply(text), Number())
    assert (found.status, found.answer) == ("ok", "12")
    assert plain_rationale(text) == REASONING
    left = rationale(text, Number())
    assert order_of(text, located(text, found, Number()), Number(), left) == "reasoning_first"


@pytest.mark.parametrize("order", ["reasoning_first", "answer_first"])
@pytest.mark.parametrize("staged", [False, True])
@given(st.text(max_size=80))
def test_a_list_holds_any_steps_and_gives_them_back(order: Any, staged: bool, reasoning: str) -> None:
    condition = Condition(**LEVELS["list"], order=order, reasoning="staged" if staged else "free")
    text = condition.example(Text(), reasoning, "esse")
    found = condition.read(reply(text), Text())
    assert (found.status, found.answer) == ("ok", "esse")
    steps = laid_out(reasoning, "list")
    assert [json.loads(text[a:b]) for a, b in found.reasoning] == [steps] * len(condition.layout.stages)
    assert "".join("".join(steps).split()) == "".join(reasoning.split())
    constraint = condition.constraint(Text())
    assert constraint is not None
    assert [*json.loads(constraint.source)["properties"]] == list(condition.layout.fields)


VIOLATIONS = [
    ("list", '{"reasoning": "9 * 2", "answer": 18}'),
    ("list", '{"reasoning": ["9 * 2", 18], "answer": 18}'),
    ("list", '{"reasoning": [["9 * 2"]], "answer": 18}'),
    ("list", '{"reasoning": [], "answer": 18}'),
    ("list", '{"reasoning": {"one": "9 * 2"}, "answer": 18}'),
    ("list", '{"answer": 18, "reasoning": ["9 * 2"]}'),
    ("string", '{"reasoning": ["9 * 2"], "answer": 18}'),
    ("lines", '{"reasoning": ["9 * 2"], "answer": 18}'),
]


@pytest.mark.parametrize(("name", "text"), VIOLATIONS)
def test_another_shape_breaks_the_contract_and_costs_the_strict_reading_alone(name: str, text: str) -> None:
    condition = Condition(**LEVELS[name])
    found = condition.read(reply(text), Number())
    assert found.status == "schema_violation"
    assert located(text, found, Number()).latent.answer == "18"
    constraint = condition.constraint(Number())
    assert constraint is not None
    assert not allows(constraint, text)


def test_statuses_of_cut_and_looping_lists() -> None:
    condition = Condition(**LEVELS["list"])
    assert condition.read(reply('{"reasoning": ["9 * 2", "is', "length"), Number()).status == "truncated"
    assert condition.read(reply('{"reasoning": [' + '"So. ", ' * 40, "length"), Number()).status == "loop"
    assert condition.read(reply('{"reasoning": [""], "answer": 18}'), Number()).status == "ok"


def test_walks_through_the_grammar_of_a_list() -> None:
    condition = Condition(**LEVELS["list"])
    constraint = condition.constraint(Number())
    assert constraint is not None
    index, lengths = Index(regex(constraint), VOCABULARY), set()
    for seed in range(40):
        text = walk(index, random.Random(seed))
        steps = json.loads(text)["reasoning"]
        assert isinstance(steps, list)
        assert all(isinstance(step, str) for step in steps)
        assert condition.read(reply(text), Number()).status == "ok"
        lengths.add(len(steps))
    assert len(lengths) > 1


def test_lines_are_masked_as_a_string_is() -> None:
    assert Condition(**LEVELS["lines"]).constraint(Number()) == Condition(**LEVELS["string"]).constraint(Number())


# -- text on one line


def test_the_decoder_forbids_line_breaks_alone() -> None:
    constraint = Condition(enforced="one_line").constraint(Number())
    assert constraint is not None
    found = alphabet(constraint)
    assert {name for name, how in found.items() if how == "never"} == {"newline"}
    assert {how for name, how in found.items() if name != "newline"} == {"raw"}
    for broken in "\n\r\x0b\x0c\x85\u2028\u2029":
        assert not allows(constraint, f"a{broken}b"), repr(broken)
    for whole in ("", "\t a \\n \x00 é 서 😀 <|im_end|>", '{"a": [1]}'):
        assert allows(constraint, whole)


def test_a_record_has_no_text_on_one_line() -> None:
    kind = Record(source=json.dumps({"type": "object", "properties": {"total": {"type": "number"}}}))
    with pytest.raises(
        UserError, match="enforced=one_line forbids the line breaks between the fields of a record: leave out conditions"
    ):
        Condition(enforced="one_line").constraint(kind)


# -- what probes see


@pytest.mark.parametrize("name", LEVELS)
def test_every_character_has_its_part_wherever_the_reply_is_cut(name: str) -> None:
    condition = Condition(**LEVELS[name])
    text = WRITTEN[name]
    parts = condition.divide(text, Number())
    words = "".join(character for character, part in zip(text, parts) if part == "reasoning")
    assert "Ann has 7 and buys 5." in words
    assert "makes twelve" in words
    assert "".join(character for character, part in zip(text, parts) if part == "answer") == "12"
    for cut in range(len(text)):
        assert len(condition.divide(text[:cut], Number())) == cut


def test_the_signs_of_a_list_are_scaffold() -> None:
    letters = {"scaffold": ".", "key": "k", "whitespace": "_", "reasoning": "r", "answer": "a"}
    parts = Condition(**LEVELS["list"]).divide('{"reasoning": ["9 * 2", "18"], "answer": 18}', Number())
    assert "".join(letters[part] for part in parts) == "..kkkkkkkkk.._..rrrrr.._.rr..._.kkkkkk.._aa."


def spelt(condition: Condition, text: str) -> ProbedReply:
    """A reply whose tokens are its characters."""

    class OneKind:
        def kind(self, item: Item) -> Number:
            return Number()

    planned = Planned(item=Item(id="i", question="q", gold="12"), sample=0, request=Request(messages=()))
    ends = tuple(range(1, len(text) + 1))
    generation = Generation(key="", text=text, token_ids=ends, token_ends=ends)
    return probed(planned, generation, condition, OneKind())  # type: ignore[arg-type]


CLOSINGS = [
    ("string", WRITTEN["string"], '", "answer'),
    ("lines", WRITTEN["lines"], '", "answer'),
    ("list", WRITTEN["list"], '"], "answer'),
    ("list", '{"reasoning": ["Ann has \\"7\\", and]", "buys 5. That makes twelve."], "answer": 12}', '"], "answer'),
]


@pytest.mark.model
@pytest.mark.parametrize(("name", "text", "behind"), CLOSINGS)
def test_where_a_rationale_closes(name: str, text: str, behind: str) -> None:
    from fmtbench.probes.token_rows import closing

    condition = Condition(**LEVELS[name])
    place, words = closing(spelt(condition, text))
    assert (place, words) == (text.index(behind), 9)
    assert closing(spelt(condition, text[: text.index(behind)])) == (None, None)


@pytest.mark.model
def test_what_each_reply_is_held_against() -> None:
    from fmtbench.probes.mass import against_what

    asked = {name: {**levels, "enforced": "no"} for name, levels in LEVELS.items() if name != "one line"}
    found = {name: against_what(spelt(Condition(**levels), WRITTEN[name]))[0] for name, levels in asked.items()}
    assert found == {"string": "schema", "list": "schema", "lines": "schema", "prose lines": None, "paragraph": "string"}
    _, grammar = against_what(spelt(Condition(**asked["list"]), WRITTEN["list"]))
    assert grammar == Condition(**LEVELS["list"]).constraint(Number())


# -- studies of others


def test_the_contract_of_transcripts_knows_lists() -> None:
    text: Sequence[str] = (WRITTEN["list"], WRITTEN["string"])
    listed = DemandedObject(fields=("reasoning", "answer"), answer="answer", rationale="list")
    assert [listed.read(one, Number()).status for one in text] == ["ok", "schema_violation"]
    plain = DemandedObject(fields=("reasoning", "answer"), answer="answer")
    assert [plain.read(one, Number()).status for one in text] == ["schema_violation", "ok"]
