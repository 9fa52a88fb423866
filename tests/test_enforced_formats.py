"""XML, YAML and calls of a tool under a grammar: whatever a grammar allows is read strictly, to what an independent parser reads.

Random walks go one way, from the mask to the reader; what we write ourselves goes the other, from the writer into the grammar.
"""

from __future__ import annotations

import json
import random
import string
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from outlines_core import Guide, Index, Vocabulary

import fmtbench
from fmtbench.answers import AnswerKind, Choice, Label, Number, Record, Text, YesNo
from fmtbench.conditions.condition import Condition
from fmtbench.decoding.grammar import allows, regex
from fmtbench.errors import UserError
from fmtbench.readers.latent import read_latent
from fmtbench.types import Constraint, Generation

CODE = "0f8fad5b-d9cb-469f-a165-70867728950e"
PROPERTIES: dict[str, Any] = {
    "vendor": {"type": "string"},
    "note": {"type": ["string", "null"]},
    "code": {"type": "string", "format": "uuid"},
    "due": {"anyOf": [{"type": "string", "format": "time"}, {"type": "null"}]},
    "currency": {"enum": ["EUR", "A & B <no>", "null", "yes: # no"]},
    "paid": {"type": "boolean"},
    "rooms": {"type": "integer"},
    "total": {"type": "number"},
}
FLAT = Record(
    source=json.dumps({"type": "object", "properties": PROPERTIES, "required": [name for name in PROPERTIES if name != "rooms"]})
)
GOLD = {
    "vendor": "Kim & Söhne <김>",
    "note": None,
    "code": CODE,
    "due": None,
    "currency": "null",
    "paid": True,
    "total": 9,
}
KINDS: list[AnswerKind] = [
    Number(),
    Choice(options=("x", "y", "z")),
    Label(labels=("a & b", "no: # <1>", "null")),
    YesNo(),
    Text(),
]
TOKENS = [*string.printable, "é", "서", "\u3000", "\u2028", "\xa0", "</", "&amp;", ": ", "\n  ", "null", "nu", '", ', "12", "\\n"]
END = len(TOKENS)
VOCABULARY = Vocabulary(END, {token: [i] for i, token in enumerate(TOKENS)})


def flat_elements(text: str) -> dict[str, str | None]:
    root = ElementTree.fromstring(f"<record>{text}</record>")
    return {one.tag: (one.text or "").strip() or None for one in root}


def flat_mapping(text: str) -> dict[str, str | None]:
    found = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(found, yaml.MappingNode)
    return {key.value: None if held.tag.endswith(":null") else held.value for key, held in found.value}


FORMATS: dict[str, Callable[[str], dict[str, str | None]]] = {"xml_schema": flat_elements, "yaml_schema": flat_mapping}
"""Each preset with a parser that is none of ours."""


def walk(index: Index, rng: random.Random) -> str:
    """One random walk to the end, which what leads to it is favoured for."""
    guide, written = Guide(index), list[str]()
    for step in range(3000):
        allowed = guide.get_tokens()
        closing = [token for token in allowed if token == END or TOKENS[token][0] in '<"\n']
        token = rng.choice(closing if closing and rng.random() < (0.25 if step < 400 else 0.9) else allowed)
        if token == END:
            return "".join(written)
        written.append(TOKENS[token])
        guide.advance(token)
    raise AssertionError("the walk did not end")


def walks(constraint: Constraint | None, many: int = 40) -> list[str]:
    assert constraint is not None
    index = Index(regex(constraint), VOCABULARY)
    return [walk(index, random.Random(seed)) for seed in range(many)]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
@pytest.mark.parametrize("order", ["reasoning_first", "answer_first", "answer_only"])
def test_walks_are_read_strictly_as_by_another_parser(name: str, kind: AnswerKind, order: str) -> None:
    condition = fmtbench.condition(name, order=order, reasoning="none" if order == "answer_only" else "free")
    for text in walks(condition.constraint(kind), 15):
        found, theirs = condition.read(Generation(key="", text=text), kind), FORMATS[name](text)
        assert found.status == "ok", text
        assert list(theirs) == list(condition.layout.fields)
        assert (found.answer or "").strip() == (theirs["answer"] or "").strip()
        assert kind.canon(read_latent(text, kind).answer or "") == kind.canon(found.answer or "") or isinstance(kind, Text)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("order", ["reasoning_first", "answer_first", "answer_only"])
def test_walks_through_a_record_are_read_strictly_to_the_same_record(name: str, order: str) -> None:
    condition = fmtbench.condition(name, order=order, reasoning="none" if order == "answer_only" else "free")
    with_rooms = 0
    for text in walks(condition.constraint(FLAT), 25):
        found, theirs = condition.read(Generation(key="", text=text), FLAT), FORMATS[name](text)
        assert found.status == "ok", text
        own = {key: held for key, held in theirs.items() if key != "reasoning"}
        read = json.loads(found.answer or "")
        assert {key: held and held.strip() for key, held in read.items()} == {
            key: held and held.strip() for key, held in own.items()
        }
        with_rooms += "rooms" in own
    assert 0 < with_rooms < 25, "an optional field is there at times"


@pytest.mark.parametrize("name", FORMATS)
def test_what_we_write_keeps_the_grammar(name: str) -> None:
    condition = fmtbench.condition(name)
    constraint = condition.constraint(FLAT)
    assert constraint is not None
    for gold in (GOLD, GOLD | {"note": "none of it", "rooms": 3, "due": "12:30:00Z", "currency": "yes: # no"}):
        text = condition.example(FLAT, "It says so:\n\n 9 & more.", json.dumps(gold))
        assert allows(constraint, text), text
        assert FLAT.same(condition.read(Generation(key="", text=text), FLAT).answer, json.dumps(gold))


@given(st.sampled_from(sorted(FORMATS)), st.text(min_size=1, max_size=40).filter(str.strip))
def test_a_grammar_allows_no_text_that_is_read_as_another(name: str, answer: str) -> None:
    """Of what is set where a text is due, whether spelled by us or not."""
    condition = fmtbench.condition(name, reasoning="none", order="answer_only")
    constraint = condition.constraint(Text())
    assert constraint is not None
    shape = "<answer>{}</answer>" if name == "xml_schema" else "answer: {}"
    for text in (condition.example(Text(), "", answer), shape.replace("{}", answer)):
        if allows(constraint, text):
            found = condition.read(Generation(key="", text=text), Text())
            assert found.status == "ok", text
            assert (found.answer or "").strip() == (FORMATS[name](text)["answer"] or "").strip()


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({"type": "array", "items": {"type": "string"}}, "'x' holds no single value, of which there is no grammar but JSON's"),
        ({"type": "object", "properties": {"y": {"type": "string"}}}, "'x' holds no single value"),
        ({"type": "string", "pattern": "^a+$"}, "'x' has pattern"),
        ({"type": "string", "maxLength": 3}, "'x' has maxLength"),
    ],
)
def test_what_has_no_grammar_is_refused_with_the_reason(name: str, held: dict[str, Any], said: str) -> None:
    kind = Record(source=json.dumps({"type": "object", "properties": {"x": held}, "required": ["x"]}))
    with pytest.raises(UserError, match=f"asked={name[:-7]}, enforced=schema: {said}"):
        fmtbench.condition(name).constraint(kind)


def test_a_record_whose_fields_may_all_be_missing_is_refused() -> None:
    kind = Record(source=json.dumps({"type": "object", "properties": {"x": {"type": "string"}}}))
    with pytest.raises(UserError, match="all fields may be missing, and a reply is not empty"):
        fmtbench.condition("xml_schema", reasoning="none", order="answer_only").constraint(kind)


@pytest.mark.parametrize("calls", ["hermes", "llama", "mistral", "pythonic"])
@pytest.mark.parametrize("kind", [*KINDS, FLAT], ids=lambda kind: type(kind).__name__)
def test_walks_through_a_call_are_read_strictly(calls: str, kind: AnswerKind) -> None:
    condition = Condition(asked="tool", enforced="schema", calls=calls)
    if calls == "pythonic" and kind is FLAT:
        pytest.skip("an argument that may be missing is refused: tests/test_tool_calls.py")
    for text in walks(condition.constraint(kind), 10):
        found = condition.read(Generation(key="", text=text), kind)
        assert found.status in ("ok", "no_answer"), text
        if calls == "pythonic":
            assert found.answer in (None, *map(str, evaluated(text).values())) or kind.numeric, text


def evaluated(text: str) -> dict[str, Any]:
    """The arguments as Python itself reads them."""
    import ast

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `\\/` is no escape of Python's
        tree = ast.parse(text.replace("\\/", "/"), mode="eval").body
    assert isinstance(tree, ast.List)
    (call,) = tree.elts
    assert isinstance(call, ast.Call)
    return {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}
