"""White space as a treatment: each grammar lets through its own alone, prompts show it, every reader takes it."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest
from outlines_core import Index

import fmtbench
from fmtbench.answers import Number, Record
from fmtbench.conditions.condition import Condition
from fmtbench.decoding.grammar import allows, regex
from fmtbench.decoding.json_mode import any_object, held_to_object, realised
from fmtbench.decoding.whitespace import respaced, spaced
from fmtbench.formats.json import load_object
from fmtbench.types import Constraint, Generation, Item
from tests.test_grammar import VOCABULARY, walk

LEVELS = ("compact", "one_space", "pretty", "free")
FIXED = ("compact", "pretty")
PRESETS = {"compact": "json_schema_compact", "pretty": "json_schema_pretty", "free": "json_schema_free_space"}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": "^[a-c]{1,3}$"},
        "sign": {"enum": ["{", ":[", 'a "b", c']},
        "tags": {"type": "array", "items": {"type": "string", "pattern": "^[x-z]?$"}},
        "pair": {"type": "array", "items": {"enum": [1, 20]}, "minItems": 2, "maxItems": 2},
        "inner": {"type": "object", "properties": {"deep": {"type": "object", "properties": {"on": {"type": "boolean"}}}}},
        "rows": {"type": "array", "items": {"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"]}},
        "last": {"enum": [3, 4]},
    },
    "required": ["name", "sign", "pair"],
}
RECORD = {
    "name": "abc",
    "sign": ":[",
    "tags": [],
    "pair": [1, 20],
    "inner": {"deep": {}},
    "rows": [{"n": 1}, {"n": 2}],
    "last": 3,
}
KIND = Record(source=json.dumps(SCHEMA))


def asked(whitespace: Any, kind: Any = KIND) -> tuple[Condition, Constraint]:
    condition = fmtbench.condition("own_schema", whitespace=whitespace)
    constraint = condition.constraint(kind)
    assert constraint is not None
    return condition, constraint


def written(whitespace: str, value: Any) -> str:
    """By another hand: the standard library's own writer."""
    how: dict[str, Any] = (
        {"separators": (",", ":")} if whitespace == "compact" else {"indent": 2} if whitespace == "pretty" else {}
    )
    return json.dumps(value, **how)


@pytest.mark.parametrize("optional", [False, True], ids=["required", "all_optional"])
@pytest.mark.parametrize("whitespace", LEVELS)
def test_walks_have_this_white_space_alone(whitespace: str, optional: bool) -> None:
    kind = Record(source=json.dumps(SCHEMA | {"required": []})) if optional else KIND
    condition, constraint = asked(whitespace, kind)
    index = Index(regex(constraint), VOCABULARY)
    seen = set()
    for seed in range(12):
        text = walk(index, random.Random(seed))
        value = json.loads(text)
        if whitespace in FIXED:
            assert text == written(whitespace, value)
        assert allows(constraint, text)
        assert condition.read(Generation(key="", text=text), kind).status in ("ok", "no_answer")
        seen.add(realised(text, constraint))
        assert list(value) == [name for name in SCHEMA["properties"] if name in value]
    expected = {"compact": {"none"}, "one_space": {"one space"}, "pretty": {"pretty"}, "free": {"free"}}[whitespace]
    assert expected <= seen
    if whitespace in FIXED:
        assert seen <= {*expected, "none"}, "an empty record has no place for any"


@pytest.mark.parametrize("level", LEVELS)
def test_a_grammar_takes_what_the_standard_library_writes(level: str) -> None:
    """And of the other three only what is its own: free takes each, one space takes compact."""
    _, constraint = asked(level)
    taken = {other for other in ("compact", "one_space", "pretty") if allows(constraint, written(other, RECORD))}
    more = {"free": {"compact", "one_space", "pretty"}, "one_space": {"compact", "one_space"}}
    assert taken == more.get(level, {level})
    assert not allows(constraint, written(level, RECORD | {"pair": [1]}))
    assert not allows(constraint, written(level, RECORD)[:-1])


@pytest.mark.parametrize("value", [RECORD, {"a": []}, {"a": [[], [1, [2]]], "b": {}}, {"a": 'x: {"y", [z]}\n'}, {}], ids=str)
def test_respaced_is_what_the_standard_library_writes(value: Any) -> None:
    plain = json.dumps(value)
    for level in LEVELS:
        assert respaced(plain, level) == written(level, value)  # type: ignore[arg-type]
        assert load_object(respaced(plain, level)) == load_object(plain)  # type: ignore[arg-type]


@pytest.mark.parametrize("level", PRESETS)
def test_a_preset_is_json_schema_in_another_white_space(level: str) -> None:
    preset, plain, kind = fmtbench.condition(PRESETS[level]), fmtbench.condition("json_schema"), Number()
    item, prompt = Item(id="1", question="How many?", gold="18"), fmtbench.prompt()
    shown, usual = (one.render(item, kind, prompt)[0].content for one in (preset, plain))
    assert re.sub(r"\s", "", shown) == re.sub(r"\s", "", usual), "the same words"
    form = '{"reasoning": "<text>", "answer": <number>}'
    assert respaced(form, level) in shown  # type: ignore[arg-type]
    assert (shown == usual) == (level == "free")
    example, constraint = preset.example(kind, "9 * 2", "18"), preset.constraint(kind)
    assert constraint is not None
    assert allows(constraint, example)
    found = preset.read(Generation(key="", text=example), kind)
    assert (found.status, found.answer) == ("ok", "18")


@pytest.mark.parametrize("level", LEVELS)
def test_every_white_space_is_read_alike(level: str) -> None:
    """What is read does not depend on what was asked for: the verdict on a reply is one, whatever its white space."""
    for other in ("compact", "one_space", "pretty"):
        text = written(other, RECORD)
        found = asked(level)[0].read(Generation(key="", text=text), KIND)
        assert (found.status, json.loads(found.answer or "{}")["last"]) == ("ok", "3")


def test_the_usual_white_space_is_the_schema_itself() -> None:
    constraint = Constraint(kind="json_schema", source=json.dumps(SCHEMA))
    assert spaced(constraint, "one_space") is constraint
    impossible = Constraint(kind="json_schema", source='{"type": "unheard of"}')
    assert spaced(impossible, "pretty") == impossible, "its compilation says why it cannot be"


def test_what_is_recorded_of_older_grammars_stays_what_it_was() -> None:
    """A server with a white space of its own was recorded as free, and is again: an audit compares."""
    plain, pretty = asked("one_space")[1], written("pretty", RECORD)
    assert [realised(pretty, one) for one in (plain, any_object(), asked("pretty")[1])] == ["free", "free", "pretty"]
    assert all(held_to_object(asked(level)[1]) for level in LEVELS)
    budgeted = fmtbench.condition("json_schema_restricted_25_hard").constraint(Number())
    assert budgeted is not None
    assert not held_to_object(budgeted)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"asked": "text", "enforced": "no", "whitespace": "compact"}, "contradicts asked=text, enforced=no"),
        ({"asked": "xml", "enforced": "no", "whitespace": "pretty"}, "contradicts asked=xml"),
        ({"asked": "json", "enforced": "no", "whitespace": "free"}, "whitespace=free contradicts"),
        ({"asked": "json", "enforced": "object", "whitespace": "pretty"}, "JSON mode has one white space"),
    ],
)
def test_white_space_that_nothing_shows_or_holds(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Condition(**changed)
