"""Calls of a tool in every syntax: raw replies as models write them, whole, damaged and hostile, and one verdict for all."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fmtbench
from fmtbench.answers import AnswerKind, Number, Record, Text
from fmtbench.conditions.condition import Condition
from fmtbench.decoding.grammar import allows
from fmtbench.errors import UserError
from fmtbench.formats import FORMATS
from fmtbench.formats.calls import CALLS
from fmtbench.formats.calls.literals import DEEPEST, literal_at, unquoted
from fmtbench.formats.parts import PartName
from fmtbench.formats.tool import TOOL, definition, parse_calls
from fmtbench.readers.latent import read_latent
from fmtbench.readers.marked import read_marked
from fmtbench.readers.order import realised_order
from fmtbench.readers.plain import plain_rationale, rationale_left
from fmtbench.types import Extraction, Generation
from tests.forms import CASES
from tests.pace import within
from tests.test_reading import LIMIT_S

ASKED = fmtbench.condition("tool_prompt")
WRITTEN = [name for name, one in CALLS.items() if one.rendered]
SHAPES: dict[str, Callable[[str], str]] = {
    "hermes": lambda held: f'<tool_call>\n{{"name": "submit", "arguments": {held}}}\n</tool_call>',
    "hermes, on one line": lambda held: f'<tool_call>{{"name": "submit", "arguments": {held}}}</tool_call>',
    "hermes, arguments first": lambda held: f'<tool_call>\n{{"arguments": {held}, "name": "submit"}}\n</tool_call>\n',
    "hermes, its end left out": lambda held: f'<tool_call>\n{{"name": "submit", "arguments": {held}}}\n',
    "hermes, fenced inside": lambda held: f'<tool_call>\n```json\n{{"name": "submit", "arguments": {held}}}\n```\n</tool_call>',
    "llama": lambda held: f'{{"name": "submit", "parameters": {held}}}',
    "llama, marked": lambda held: f'<|python_tag|>{{"name": "submit", "parameters": {held}}}<|eom_id|>',
    "llama, typed": lambda held: f'{{"type": "function", "name": "submit", "parameters": {held}}}',
    "llama, tagged": lambda held: f"<function=submit>{held}</function>",
    "mistral": lambda held: f'[TOOL_CALLS] [{{"name": "submit", "arguments": {held}}}]',
    "mistral, its mark left out": lambda held: f' [{{"name": "submit", "arguments": {held}, "id": "VvvODy9mT"}}]',
    "mistral, name first": lambda held: f"[TOOL_CALLS]submit[ARGS]{held}",
    "openai": lambda held: f'{{"id": "c1", "type": "function", "function": {{"name": "submit", "arguments": {held}}}}}',
    "encoded twice": lambda held: f'<tool_call>\n{{"name": "submit", "arguments": {json.dumps(held)}}}\n</tool_call>',
    "in a fence": lambda held: f'```json\n{{"name": "submit", "arguments": {held}}}\n```',
    "pythonic": lambda held: python(held),
    "pythonic, marked": lambda held: f"<|python_start|>{python(held)}<|python_end|>",
    "pythonic, without brackets": lambda held: python(held)[1:-1],
    "pythonic, in a fence": lambda held: f"```tool_code\n{python(held)[1:-1]}\n```",
}
"""A whole call around arguments in JSON, as models and their servers write it."""
REASONING = 'Two sets of nine: 9 * 2 = 18.\nSo "eighteen", 열여덟 {not [this]}.'


def python(held: str) -> str:
    """In Python's own spelling of strings."""
    return f"[submit({', '.join(f'{name}={value!r}' for name, value in json.loads(held).items())})]"


def strict(text: str, condition: Condition = ASKED, kind: AnswerKind | None = None, cut: bool = False) -> Extraction:
    return condition.read(Generation(key="", text=text, finish_reason="length" if cut else "stop"), kind or Number())


@pytest.mark.parametrize("shape", SHAPES)
def test_a_whole_call_keeps_its_contract_in_every_syntax(shape: str) -> None:
    text = SHAPES[shape](json.dumps({"reasoning": REASONING, "answer": 18}, ensure_ascii=False))
    for read in (strict(text), read_latent(text, Number()), read_marked(text, Number())):
        assert (read.status, read.answer) == ("ok", "18")
    assert realised_order(text, Number(), ("18", strict(text).span or (0, 0)), rationale_left(text)) == "reasoning_first"
    words = strict(text).reasoning
    assert len(words) == 1
    assert "nine" in text[slice(*words[0])]


@pytest.mark.parametrize("calls", WRITTEN)
@pytest.mark.parametrize(("kind", "gold", "verdict", "form"), CASES[::3])
def test_one_verdict_whatever_the_syntax(calls: str, kind: AnswerKind, gold: str, verdict: bool, form: str) -> None:
    """The rule of fairness, for the syntaxes that no preset names."""
    condition = Condition(asked="tool", enforced="schema", calls=calls)
    text = condition.example(kind, "Let me think about it.", form)
    assert kind.same(strict(text, condition, kind).answer, gold) is verdict, text
    assert kind.same(read_latent(text, kind).answer, gold) is verdict, text
    assert plain_rationale(text) == "Let me think about it."


HELD = '{"reasoning": "9 * 2 = 18, not 17.", "answer": 18}'
OTHER = '{"reasoning": "9 * 2 = 17", "answer": 17}'
WHOLE = SHAPES["hermes"](HELD)
LOGS: list[tuple[str, str, str, str | None]] = [
    ("text before", f"Let me work it out: 9 * 2 is 18.\n{WHOLE}", "another_mark", "18"),
    ("text after", f"{WHOLE}\nThere were 5 more.", "another_mark", "18"),
    ("text before, llama", f"Calling the tool.\n{SHAPES['llama'](HELD)}", "another_mark", "18"),
    ("text before, pythonic", f"I will call it now.\n{python(HELD)}", "another_mark", "18"),
    ("a fence in prose", f"Sure:\n```python\n{python(HELD)}\n```\nDone in 3 steps.", "another_mark", "18"),
    ("two calls", f"{SHAPES['hermes'](OTHER)}\n{WHOLE}", "schema_violation", "18"),
    ("two calls, llama", f"{SHAPES['llama'](OTHER)}; {SHAPES['llama'](HELD)}", "schema_violation", "18"),
    ("two calls, mistral", f"[TOOL_CALLS] [{SHAPES['llama'](OTHER)}, {SHAPES['llama'](HELD)}]", "schema_violation", "18"),
    ("two calls, pythonic", f"[{python(OTHER)[1:-1]}, {python(HELD)[1:-1]}]", "schema_violation", "18"),
    ("another tool", WHOLE.replace('"submit"', '"calculator"'), "schema_violation", "18"),
    ("another tool, pythonic", python(HELD).replace("submit", "final"), "schema_violation", "18"),
    ("another order", SHAPES["llama"]('{"answer": 18, "reasoning": "9 * 2"}'), "schema_violation", "18"),
    ("a field too many", SHAPES["llama"]('{"reasoning": "9 * 2", "answer": 18, "sure": true}'), "schema_violation", "18"),
    ("no arguments", SHAPES["hermes"]("{}"), "schema_violation", None),
    ("an empty answer", SHAPES["hermes"]('{"reasoning": "9 * 2", "answer": ""}'), "no_answer", None),
    ("null, pythonic", "[submit(reasoning='9 * 2', answer=None)]", "no_answer", None),
    ("a list", SHAPES["mistral"]('{"reasoning": "9 * 2", "answer": [18]}'), "schema_violation", "18"),
    ("broken", WHOLE.replace('not 17.", ', "not 17., "), "another_mark", "18"),
    ("a quote inside, pythonic", "[submit(reasoning='it's 9 * 2', answer=18)]", "another_mark", "18"),
    ("plain JSON instead", HELD, "another_mark", "18"),
    ("prose instead", "The answer is 18.", "another_mark", "18"),
    ("nothing", "", "no_answer", None),
    ("no call", "<tool_call>\n</tool_call>", "no_mark", None),
    ("words", "I would call the tool now.", "no_mark", None),
]


@pytest.mark.parametrize(("why", "text", "status", "found"), LOGS, ids=[case[0] for case in LOGS])
def test_logs_of_calls(why: str, text: str, status: str, found: str | None) -> None:
    assert strict(text).status == status
    assert read_latent(text, Number()).answer == found


@pytest.mark.parametrize("shape", ["hermes", "llama", "mistral", "pythonic"])
def test_a_call_that_is_cut_keeps_no_contract_and_its_answer_is_found_where_it_was_written(shape: str) -> None:
    text = SHAPES[shape]('{"answer": 18, "reasoning": "nine and nine"}')
    first = fmtbench.condition("tool_prompt", order="answer_first")
    written = text.index("18") + 2
    for end in range(1, text.index("nine and") + 8):
        cut = strict(text[:end], first, cut=True)
        assert cut.status == "truncated", text[:end]
        found = read_latent(text[:end], Number()).answer
        assert found == "18" if end > written else found in (None, "1", "18"), text[:end]


def test_the_parts_of_a_call_are_known_wherever_it_is_cut() -> None:
    letters: dict[PartName, str] = {"scaffold": ".", "key": "k", "whitespace": "_", "reasoning": "r", "answer": "a"}
    for shape in ("hermes", "llama", "mistral", "pythonic"):
        text = SHAPES[shape]('{"reasoning": "We add.", "answer": "esse"}')
        parts = "".join(letters[part] for part in ASKED.divide(text, Text()))
        assert [text[at] for at, part in enumerate(parts) if part == "a"] == list("esse")
        assert "".join(text[at] for at, part in enumerate(parts) if part == "r").split() == ["We", "add."]
        for end in range(text.index("We"), text.index("esse")):
            cut = "".join(letters[part] for part in ASKED.divide(text[:end], Text()))
            assert cut[: end - 10] == parts[: end - 10]  # what is just being written shows its meaning later


# -- records


RECORD = Record(
    source=json.dumps(
        {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "type": {"enum": ["retail", "trade"]},
                "paid": {"type": "boolean"},
                "due": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
                "lines": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"item": {"type": "string"}, "price": {"type": "number"}}},
                },
                "total": {"type": "number"},
            },
            "required": ["name", "type", "paid", "due", "lines", "total"],
        }
    )
)
GOLD = {
    "name": 'Kim\'s "Tea" 김, Ltd',
    "type": "trade",
    "paid": True,
    "due": None,
    "lines": [{"item": "pot (blue)", "price": 12.5}, {"item": "cup", "price": 3}],
    "total": 15.5,
}
"""With fields that are called as the parts of a call are."""
DIRECT = fmtbench.condition("tool_prompt", reasoning="none", order="answer_only")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("around", ["{}", "Here is the record:\n{}\nThat is all."])
def test_a_record_in_a_call_is_the_record_in_json_and_in_prose(shape: str, around: str) -> None:
    gold = json.dumps(GOLD, ensure_ascii=False)
    called, prose = SHAPES[shape](gold), fmtbench.condition("prose_fields").example(RECORD, "", gold)
    for text in (around.replace("{}", called), around.replace("{}", gold), prose):
        assert RECORD.same(read_latent(text, RECORD).answer, gold), text
    if around == "{}":
        assert RECORD.same(strict(called, DIRECT, RECORD).answer, gold)
        assert RECORD.canon(strict(called, DIRECT, RECORD).answer or "") == RECORD.canon(gold)


@pytest.mark.parametrize("calls", ["hermes", "llama", "mistral"])
def test_an_enforced_call_of_a_record_is_written_allowed_and_read(calls: str) -> None:
    held = fmtbench.condition("tool_schema", calls=calls)
    gold = json.dumps(GOLD, ensure_ascii=False)
    text, constraint = held.example(RECORD, "We read it off.", gold), held.constraint(RECORD)
    assert constraint is not None
    assert allows(constraint, text)
    assert RECORD.same(strict(text, held, RECORD).answer, gold)


def test_pythonic_calls_are_enforced_for_flat_records_and_refused_for_others() -> None:
    held = fmtbench.condition("tool_schema", calls="pythonic")
    with pytest.raises(UserError, match="pythonic calls are enforced for flat records, and 'lines' nests: leave out"):
        held.constraint(RECORD)
    fields = {
        "paid": {"type": "boolean"},
        "due": {"type": ["string", "null"]},
        "tags": {"type": "array", "items": {"type": "string"}},
    }
    flat = Record(source=json.dumps({"type": "object", "properties": fields, "required": list(fields)}))
    gold = '{"paid": false, "due": null, "tags": ["a", "b"]}'
    text = held.example(flat, "None is due.", gold)
    assert text == '[submit(reasoning="None is due.", paid=False, due=None, tags=["a", "b"])]'
    constraint = held.constraint(flat)
    assert constraint is not None
    assert allows(constraint, text)
    assert flat.same(strict(text, held, flat).answer, gold)


# -- Python's literals


@given(st.recursive(
    st.text(max_size=20) | st.booleans() | st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3) | st.tuples(inner),
    max_leaves=8,
))  # fmt: skip
def test_whatever_python_writes_is_read(value: Any) -> None:
    for shown in (repr(value), json.dumps(value, ensure_ascii=False), json.dumps(value)):
        found = literal_at(shown, 0)
        assert found is not None, shown
        assert found == (as_text(value), len(shown))


def as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: as_text(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [as_text(one) for one in value]
    return value if value is None or isinstance(value, str) else str(value).lower() if isinstance(value, bool) else repr(value)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (r"it\'s \"so\"", 'it\'s "so"'),
        (r"9\u00d72 \uc5f4 \x41 \101 \N", "9×2 열 A A \\N"),
        (r"\d+ \/ \\n", r"\d+ / \n"),
        ("\\ud83d\\ude00 \\ud83d", "😀 \ufffd"),
        (r"\U0001F600 \UFFFFFFFF", "😀 \\UFFFFFFFF"),
        ("a\\\nb", "ab"),
    ],
)
def test_escapes(body: str, text: str) -> None:
    assert unquoted(body) == text


@pytest.mark.parametrize(
    "text",
    ["[submit(answer=__import__('os').getcwd())]", "[submit(answer=1+1)]", "[submit(18)]", "[submit(answer=x)]",
     "[submit(answer=18, answer=19)]", "[submit(answer=f(1))]", "[submit(answer=lambda: 1)]", "print('18')", "[submit(**{})]"],
)  # fmt: skip
def test_what_is_no_literal_is_no_call(text: str) -> None:
    assert parse_calls(text) is None


def test_what_lies_too_deep_is_no_literal() -> None:
    assert literal_at("[" * DEEPEST + "]" * DEEPEST, 0) is not None
    assert literal_at("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), 0) is None


UNITS = (
    *("<tool_call>", "</tool_call>", '{"name": "submit", "arguments": ', '{"name": "a", "arguments": {}}', "[TOOL_CALLS]"),
    *("[submit(answer=", "submit(answer='", "f(a=1),", '<tool_call>{"name": "s", "arguments": {}}</tool_call>', "a(b=[", "f(a="),
    *(
        "<function=a>",
        '<function=a>{"b": 1}</function>',
        "[TOOL_CALLS]a[ARGS]{}",
        "a[ARGS]",
        "answer=(",
        '{"arguments": "',
        "\\u",
    ),
)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("before", ["", "[submit(answer='", '{"name": "submit", "arguments": {"answer": "'])
def test_hostile_calls_are_read_at_once(unit: str, before: str) -> None:
    text = (before + unit * (100_000 // len(unit)))[:100_000]
    for read in (lambda: strict(text), lambda: read_latent(text, Number()), lambda: plain_rationale(text)):
        assert within(LIMIT_S, read)
    assert len(ASKED.divide(text, Number())) == len(text)


# -- asked


def test_the_tool_has_the_schema_that_json_is_held_to() -> None:
    for kind in (Number(), RECORD):
        shown = definition(ASKED.layout, kind)["function"]
        held = fmtbench.condition("json_schema").constraint(kind)
        assert held is not None
        assert shown["name"] == TOOL
        assert list(shown["parameters"]["properties"]) == list(json.loads(held.source)["properties"])
    assert json.loads(held.source)["required"] == shown["parameters"]["required"]


def test_the_contract_names_the_tool_and_its_arguments() -> None:
    assert ASKED.contract(Number()) == (
        'Reply with only a call of the tool "submit" with arguments of this form, with the keys in this order: '
        '{"reasoning": "<text>", "answer": <number>}'
    )
    assert DIRECT.contract(Number()).endswith('with arguments of this form: {"answer": <number>}')


def test_other_formats_are_none_of_it() -> None:
    for name in ("json", "xml", "yaml", "markdown"):
        text = FORMATS[name].write(ASKED.layout, Number(), "7 + 5 is 12.", "12")
        assert parse_calls(text) is None
        assert list(FORMATS["tool"].find(text)) == []
        assert FORMATS["tool"].unpack(text, answers=False) is None
