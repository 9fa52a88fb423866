"""A contract's example, its reader and its constraint agree, for any rationale and any answer."""

import csv
import html
import io
import json
import tomllib
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fmtbench.answers import Choice, Label, Math, Number, Set, Text, YesNo
from fmtbench.decoding.grammar import allows
from fmtbench.formats import FORMATS
from fmtbench.formats.base import Layout
from fmtbench.formats.csv import CsvFormat
from fmtbench.formats.json import JsonFormat, parse_object
from fmtbench.formats.markdown import MarkdownFormat
from fmtbench.formats.text import TextFormat
from fmtbench.formats.toml import TomlFormat
from fmtbench.formats.xml import XmlFormat
from fmtbench.formats.yaml import YamlFormat
from fmtbench.types import Generation

KINDS = [Number(), Choice(options=("x", "y", "z")), Label(labels=("positive", "negative")), YesNo(), Text(), Math(), Set()]
ANSWERS = {
    "Number": "18",
    "Choice": "B",
    "Label": "negative",
    "YesNo": "no",
    "Text": "Berlin",
    "Math": r"\frac{3}{4}",
    "Set": "a, b",
}
LINE = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=40).map(str.strip).filter(bool)
ORDERS = ("reasoning_first", "answer_first", "answer_only")


def layout(order: str, staged: bool = False) -> Layout:
    stages = () if order == "answer_only" else ("one", "two") if staged else ("reasoning",)
    return Layout(stages=stages, answer="answer", order=order)  # type: ignore[arg-type]


@given(st.sampled_from(ORDERS), st.booleans(), st.text(max_size=80), st.text(min_size=1, max_size=40).filter(str.strip))
def test_json_gives_back_any_answer(order: str, staged: bool, reasoning: str, answer: str) -> None:
    contract, plan = JsonFormat(), layout(order, staged)
    text = contract.write(plan, Text(), reasoning, answer)
    found = contract.read(text, plan, Text())
    assert (found.status, found.answer) == ("ok", answer)
    fenced = contract.read(f"```json\n{text}\n```", plan, Text())
    assert fenced.answer == answer
    for extraction, shown in ((found, text), (fenced, f"```json\n{text}\n```")):
        assert [json.loads(shown[a:b]) for a, b in extraction.reasoning] == [reasoning] * len(plan.stages)


@given(st.sampled_from(ORDERS), st.booleans(), LINE, LINE)
def test_text_gives_back_any_one_line_answer(order: str, staged: bool, reasoning: str, answer: str) -> None:
    """Any sentence-free line: where a sentence ends, prose ends the answer, "is:" may begin it, and emphasis is none of it."""
    answer, reasoning = answer.translate(dict.fromkeys(map(ord, ".!?*_"))).strip(), reasoning.replace("nswer", "")
    if answer and not answer.startswith(":") and "nswer" not in answer:
        plan = layout(order, staged)
        found = TextFormat().read(TextFormat().write(plan, Text(), reasoning, answer), plan, Text())
        assert found.status == "ok"
        assert found.answer == answer


@example(order="reasoning_first", staged=False, reasoning="", answer="=")
@example(order="reasoning_first", staged=False, reasoning="2024-99-99", answer="0x_")
@given(st.sampled_from(ORDERS), st.booleans(), st.text(max_size=80), st.text(min_size=1, max_size=40).filter(str.strip))
def test_yaml_gives_back_any_answer(order: str, staged: bool, reasoning: str, answer: str) -> None:
    contract, plan = YamlFormat(), layout(order, staged)
    text = contract.write(plan, Text(), reasoning, answer)
    assert yaml.safe_load(text).keys() == set(plan.fields)
    for shown in (text, f"```yaml\n{text}\n```", f"``` yaml\n{text}\n```"):
        found = contract.read(shown, plan, Text())
        assert (found.status, found.answer) == ("ok", answer)
        assert len(found.reasoning) == len(plan.stages)


@pytest.mark.parametrize("answer", ["true", "017", "12:30", "1_000", "2024-01-01", "1e3", "~x", "0x1F", "No", ".5", "$1,234.00"])
def test_yaml_keeps_what_the_model_wrote(answer: str) -> None:
    found = YamlFormat().read(f"reasoning: |\n  So: it is.\nanswer: {answer}", layout("reasoning_first"), Text())
    assert (found.status, found.answer) == ("ok", answer)


@given(st.sampled_from(ORDERS), st.booleans(), st.text(max_size=80), st.text(min_size=1, max_size=40).filter(str.strip))
def test_xml_gives_back_any_answer(order: str, staged: bool, reasoning: str, answer: str) -> None:
    contract, plan = XmlFormat(), layout(order, staged)
    text = contract.write(plan, Text(), reasoning, answer)
    for shown in (text, f"```xml\n{text}\n```", f"``` xml\n{text}\n```", f'<?xml version="1.0"?>\n<reply>\n{text}\n</reply>'):
        found = contract.read(shown, plan, Text())
        assert (found.status, found.answer) == ("ok", answer)
        assert [html.unescape(shown[a:b]) for a, b in found.reasoning] == [reasoning] * len(plan.stages)


@given(st.sampled_from(ORDERS), st.booleans(), st.text(max_size=80), st.text(min_size=1, max_size=40).filter(str.strip))
def test_toml_gives_back_any_answer(order: str, staged: bool, reasoning: str, answer: str) -> None:
    contract, plan = TomlFormat(), layout(order, staged)
    text = contract.write(plan, Text(), reasoning, answer)
    assert tomllib.loads(text) == {name: answer if name == plan.answer else reasoning for name in plan.fields}
    for shown in (text, f"```toml\n{text}\n```", f"``` toml\n{text}\n```"):
        found = contract.read(shown, plan, Text())
        assert (found.status, found.answer) == ("ok", answer)
        assert len(found.reasoning) == len(plan.stages)


@given(st.sampled_from(ORDERS), st.booleans(), st.text(max_size=80), st.text(min_size=1, max_size=40).filter(str.strip))
def test_csv_gives_back_any_answer(order: str, staged: bool, reasoning: str, answer: str) -> None:
    contract, plan = CsvFormat(), layout(order, staged)
    text = contract.write(plan, Text(), reasoning, answer)
    header, row = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert (header, row) == ([*plan.fields], [answer if name == plan.answer else reasoning for name in plan.fields])
    for shown in (text, f"```csv\n{text}\n```", f"``` csv\n{text}\n```"):
        found = contract.read(shown, plan, Text())
        assert (found.status, found.answer) == ("ok", answer)
        assert len(found.reasoning) == len(plan.stages)


@given(st.sampled_from(ORDERS), st.booleans(), LINE, LINE)
def test_markdown_gives_back_any_answer_of_one_line(order: str, staged: bool, reasoning: str, answer: str) -> None:
    """Any line but a heading of the form: that would begin another part."""
    plan = layout(order, staged)
    if not any(line.lstrip().startswith(("#", "```")) for line in (answer, reasoning)):
        text = MarkdownFormat().write(plan, Text(), reasoning, answer)
        for shown in (text, f"```markdown\n{text}\n```"):
            found = MarkdownFormat().read(shown, plan, Text())
            assert (found.status, found.answer) == ("ok", answer)
            assert [shown[a:b] for a, b in found.reasoning] == [reasoning] * len(plan.stages)


@given(
    st.sampled_from(list(FORMATS)),
    st.sampled_from(ORDERS),
    st.text(alphabet="<>/&;!?#:|-'\"\\{}[]*`answer \n\t18", max_size=60),
)
def test_no_text_breaks_a_reader(name: str, order: str, text: str) -> None:
    found = FORMATS[name].read(text, layout(order), Number())
    assert (found.status == "ok") == (found.answer is not None)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
def test_examples_keep_their_constraint(conditions: dict[str, Any], kind: Any) -> None:
    """Every condition is written and read; a grammar and a text that many conditions share are matched once."""
    answer, matched = ANSWERS[type(kind).__name__], set()
    for condition in conditions.values():
        text = condition.example(kind, "Two words.", answer)
        assert condition.read(Generation(key="", text=text), kind).answer == answer
        constraint = condition.constraint(kind)
        if constraint is None:
            continue
        if (constraint, text) not in matched:
            assert allows(constraint, text)
        if constraint.kind == "json_schema":
            jsonschema.validate(json.loads(text), json.loads(constraint.source))
            assert [member.key for member in parse_object(text) or []] == list(condition.layout.fields)
        matched.add((constraint, text))
    assert len(matched) >= 10


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=300)
@given(st.text(alphabet='{}[]":,\\ \n\t0123456789.eEtruefalsn`-NaI', max_size=60))
def test_any_json_like_text_reads_without_a_crash(text: str) -> None:
    members = parse_object(text)
    try:
        value = json.loads(text, parse_constant=lambda name: 1 / 0)
    except (ValueError, ZeroDivisionError):
        value = None
    if isinstance(value, dict):
        assert members is not None
        assert {member.key: member.value for member in members} == value
        assert all(json.loads(text[member.start : member.end]) == member.value for member in members)
    else:
        assert members is None
