"""Records: one verdict a leaf in every format, by every reading; and what a schema says of each leaf."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import fmtbench
from fmtbench.answers import Date, Label, Number, Record, Text, Verbatim, YesNo
from fmtbench.answers.inlining import SchemaError
from fmtbench.conditions.condition import Condition
from fmtbench.decoding.grammar import allows
from fmtbench.decoding.records import ignored
from fmtbench.errors import UserError
from fmtbench.readers.latent import read_latent
from fmtbench.running.verdicts import located, rationale, verdicts
from fmtbench.types import Generation
from tests.pace import within

SCHEMA: dict[str, Any] = {
    "title": "Invoice",
    "type": "object",
    "properties": {
        "vendor": {"type": "string", "description": "Who sends it."},
        "invoice_number": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"},
        "date": {"type": "string", "format": "date"},
        "due": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
        "currency": {"enum": ["EUR", "USD", "none"]},
        "paid": {"type": "boolean"},
        "note": {"type": ["string", "null"]},
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "amounts": {"type": "array", "items": {"type": "number"}},
        "address": {"$ref": "#/$defs/Address"},
        "lines": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "price": {"type": "number"}},
                "required": ["name", "price"],
            },
        },
        "total": {"type": "number", "minimum": 0},
    },
    "required": ["vendor", "date", "total"],
    "$defs": {"Address": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}},
}
KIND = Record(source=json.dumps(SCHEMA))
NAMES = ("free_cot", "direct", "json_prompt", "json_schema", "json_schema_direct", "json_schema_answer_first", "xml_prompt")
NAMES += (
    "csv_prompt",
    "toml_prompt",
    "tool_prompt",
    "yaml_prompt",
    "markdown_prompt",
    "prose_fields",
    "think_then_json",
    "free_cot_answer_first",
    "staged",
    "json_mode",
)
CONDITIONS = {name: fmtbench.condition(name) for name in NAMES}

WORD = st.text(st.sampled_from("abcdefgxyzäéBCDQ"), min_size=2, max_size=6)
PHRASE = st.lists(WORD, min_size=1, max_size=3).map(" ".join) | st.sampled_from(
    [
        "Acme, Inc",
        "O'Neil & Sons",
        "A: B",
        "#1 <b>",
        'say "hi"',
        "C:\\new",
        "{x}",
        "[y]",
        "- dash",
        "한국 전력",
        "True North",
        "1.5e3",
    ]
)
DAY = st.dates().filter(lambda day: day.year > 999).map(str)
AMOUNT = st.integers(0, 10**6) | st.decimals(0, 9999, places=2).map(float)
RECORDS = st.fixed_dictionaries(
    {"vendor": PHRASE, "date": DAY, "total": AMOUNT},
    optional={
        "invoice_number": st.from_regex(r"\A[A-Z]{2}-[0-9]{3}\Z"),
        "due": DAY | st.none(),
        "currency": st.sampled_from(["EUR", "USD", "none"]),
        "paid": st.booleans(),
        "note": PHRASE | st.none(),
        "tags": st.lists(WORD, min_size=1, max_size=3, unique_by=str.casefold),
        "amounts": st.lists(AMOUNT, min_size=1, max_size=3),
        "address": st.fixed_dictionaries({"city": PHRASE}),
        "lines": st.lists(st.fixed_dictionaries({"name": PHRASE, "price": AMOUNT}), min_size=1, max_size=3),
    },
)


def reading(name: str, text: str, gold: str, kind: Record = KIND) -> Any:
    found = CONDITIONS[name].read(Generation(key="", text=text), kind)
    return verdicts(located(text, found, kind), kind, [gold])


def there(path: str, gold: dict[str, Any]) -> str:
    """Whether a gold record has anything at a leaf."""
    first, _, rest = path.partition(".")
    held = gold.get(first.removesuffix("[]"))
    held = held.get(rest) if isinstance(held, dict) else held
    return "empty" if held is None else "filled"


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(said=RECORDS, right=RECORDS)
@example(said={"vendor": "{x}", "date": "2000-01-01", "total": 0}, right={"vendor": "{x}", "date": "2000-01-01", "total": 0})
def test_the_same_record_gets_the_same_verdicts_in_every_format(said: dict[str, Any], right: dict[str, Any]) -> None:
    check_fair(said, right)


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(said=RECORDS, right=RECORDS)
def test_the_same_record_gets_the_same_verdicts_in_every_format_tried_longer(said: dict[str, Any], right: dict[str, Any]) -> None:
    check_fair(said, right)


def check_fair(said: dict[str, Any], right: dict[str, Any]) -> None:
    """The rule of fairness, for what is right and for what is wrong: nothing but the leaves decides."""
    gold, answer = json.dumps(right), json.dumps(said)
    truth = KIND.verdicts(answer, gold)
    for name, condition in CONDITIONS.items():
        text = condition.example(KIND, "We look for each of them.", answer)
        found = reading(name, text, gold)
        assert found.status == "ok", (name, text)
        assert json.loads(found.fields) == {path: [one, one, there(path, right)] for path, one in truth.items()}, (name, text)
        assert reading(name, text, answer).correct, (name, text)
        assert reading(name, text, answer).latent_correct, (name, text)


@pytest.mark.parametrize("name", NAMES)
def test_every_condition_allows_and_counts_what_it_asks_for(name: str) -> None:
    gold = json.dumps({"vendor": "Acme", "date": "2024-03-12", "total": 3, "note": None, "lines": [{"name": "x", "price": 1}]})
    condition = CONDITIONS[name]
    text = condition.example(KIND, "We look for each.", gold)
    constraint = condition.constraint(KIND)
    assert constraint is None or allows(constraint, text)
    words = "We look for each." if condition.reasoning != "none" else ""
    assert " ".join(rationale(text, KIND).replace("\0", "").split()).rstrip(".") in (
        words.rstrip("."),
        " ".join([words] * 3).rstrip("."),
    )


# -- leaves


def test_each_leaf_has_the_kind_that_its_schema_says() -> None:
    kinds = {path: (leaf.element or leaf).kind for path, leaf in KIND.leaves.items()}
    assert kinds == {
        "vendor": Text(),
        "invoice_number": Verbatim(),
        "date": Date(),
        "due": Date(),
        "currency": Label(labels=("EUR", "USD", "none")),
        "paid": YesNo(),
        "note": Text(),
        "tags": Text(),
        "amounts": Number(),
        "address.city": Text(),
        "lines[].name": Text(),
        "lines[].price": Number(),
        "total": Number(),
    }
    assert not KIND.leaves["tags"].ordered
    assert KIND.leaves["amounts"].ordered


def one(fragment: dict[str, Any], given: Any, gold: Any) -> str:
    kind = Record(source=json.dumps({"type": "object", "properties": {"x": fragment, "y": {"type": "string"}}}))
    made = {"y": "y"} | ({} if given is ... else {"x": given})
    return kind.verdicts(json.dumps(made), json.dumps({"y": "y"} | ({} if gold is ... else {"x": gold})))["x"]


NUMBERS, WORDS = (
    {"type": "array", "items": {"type": "number"}},
    {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
)


@pytest.mark.parametrize(
    ("fragment", "given", "gold", "verdict"),
    [
        ({"type": "number"}, "$1,200.00", 1200, "right"),
        ({"type": "number"}, 12, 120, "wrong"),
        ({"type": "number"}, ..., 120, "omitted"),
        ({"type": "number"}, None, 120, "omitted"),
        ({"type": "number"}, "n/a", 120, "omitted"),
        ({"type": "number"}, 0, None, "hallucinated"),
        ({"type": "number"}, 0, ..., "hallucinated"),
        ({"type": "number"}, ..., None, "absent"),
        ({"type": "number"}, "unknown", ..., "absent"),
        ({"type": "number"}, "<number>", 12, "omitted"),
        ({"type": "string"}, "the ACME-inc.", "Acme Inc", "right"),
        ({"type": "string", "x-compare": "exact"}, "ACME", "Acme", "wrong"),
        ({"type": "string", "x-compare": "exact"}, "Acme", "Acme", "right"),
        ({"type": "string", "x-compare": "date"}, "March 3rd, 2024", "2024-03-03", "right"),
        ({"type": "string", "format": "date"}, "3 March 2024", "2024-03-03", "right"),
        ({"type": "string", "format": "date"}, "03/04/2024", "2024-04-03", "wrong"),
        ({"type": "boolean"}, "yes", True, "right"),
        ({"type": "boolean"}, False, True, "wrong"),
        ({"enum": ["none", "some"]}, "none", "none", "right"),
        ({"enum": ["none", "some"]}, "some", "none", "wrong"),
        ({"enum": [1, 2, None]}, "2", 2, "right"),
        (NUMBERS, [1, 2], [1, 2.0], "right"),
        (NUMBERS, [2, 1], [1, 2], "wrong"),
        (NUMBERS, [1], [1, 2], "wrong"),
        (NUMBERS, [], [], "absent"),
        (NUMBERS, [1], [], "hallucinated"),
        (WORDS, ["b", "A"], ["a", "b"], "right"),
        (WORDS, "b and a", ["a", "b"], "right"),
        (WORDS, ["a", "a"], ["a", "b"], "wrong"),
        ({"anyOf": [{"type": "number"}, {"type": "string", "pattern": "^x"}]}, "12.0", 12, "right"),
    ],
)
def test_verdicts_on_a_leaf(fragment: dict[str, Any], given: Any, gold: Any, verdict: str) -> None:
    assert one(fragment, given, gold) == verdict


def test_a_reply_that_says_nothing_is_credited_with_no_empty_field() -> None:
    """Else a model that is silent would be right wherever the gold is null."""
    gold = json.dumps({"vendor": "a", "date": "2024-01-01", "total": 1})
    for silent in ("", "I do not know.", "{}", '{"vendor": null}'):
        found = reading("json_prompt", silent, gold)
        assert {tuple(one[:2]) for one in json.loads(found.fields).values()} == {("unread", "unread")}, silent


@pytest.mark.parametrize("name", ["json_schema_direct", "xml_prompt", "yaml_prompt", "markdown_prompt"])
def test_the_schema_is_kept_or_broken_alike_in_every_format(name: str) -> None:
    whole = {"vendor": "a", "date": "2024-01-01", "total": 1}
    broken = [{**whole, "total": -1}, {**whole, "invoice_number": "x"}, {**whole, "date": "soon"}, {"vendor": "a", "total": 1}]
    broken += [{**whole, "currency": "DM"}, {**whole, "paid": "perhaps"}, {**whole, "total": "many"}]
    condition = CONDITIONS[name]
    assert reading(name, condition.example(KIND, "So.", json.dumps(whole)), json.dumps(whole)).status == "ok"
    for each in broken:
        text = condition.example(KIND, "So.", json.dumps(each))
        found = reading(name, text, json.dumps(whole))
        assert (found.status, found.correct) == ("schema_violation", False), text
        assert json.loads(found.fields)["vendor"] == ["unread", "right", "filled"], text


@pytest.mark.parametrize(
    "reply",
    [
        'Here it is:\n```json\n{"Vendor": "Acme", "invoiceDate": 1, "date": "12 March 2024", "Total": "12.50 EUR"}\n```\nBye',
        'The record is {"invoice": {"vendor": "Acme", "date": "2024-03-12", "total": 12.5}} as asked.',
        "**Vendor:** Acme\n**Date:** March 12, 2024\n- **Total**: $12.50\n",
        "The vendor is Acme. The date is 12 March 2024. The total is 12.50.",
        "| vendor | Acme |\n| date | 2024-03-12 |\n| total | 12.5 |",
        '{"vendor": "Acme", "date": "2024-03-12", "total": 12.5, "note": "it was cu',
        "<invoice><vendor>Acme</vendor><date>2024-03-12</date><total>12.5</total></invoice> Done.",
        "It is {} or {x}. vendor: Beta\nNo, again.\nvendor: Acme\ndate: 2024-03-12\ntotal: 12.5",
    ],
)
def test_the_latent_reader_finds_a_record_anywhere(reply: str) -> None:
    gold = json.dumps({"vendor": "Acme", "date": "2024-03-12", "total": 12.5})
    found = json.loads(reading("free_cot", reply, gold).fields)
    assert {path: found[path][1] for path in ("vendor", "date", "total")} == dict.fromkeys(("vendor", "date", "total"), "right")


@pytest.mark.parametrize(
    "part", ["{", "vendor: x\n", '"vendor": "x", ', "The vendor is ", "# vendor\n", '{"vendor": "x"} ', "<vendor>", "a:\n- "]
)
def test_a_reply_of_any_shape_is_read_in_a_moment(part: str) -> None:
    text = part * (30_000 // len(part))
    assert within(0.25, read_latent, text, KIND)


# -- schemas


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"type": "object", "properties": {"a": {"$ref": "https://x.org/a.json"}}}, r"a: \$ref https://x.org/a.json leads out"),
        (
            {
                "type": "object",
                "properties": {"a": {"$ref": "#/$defs/a"}},
                "$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/a"}}},
            },
            "holds itself",
        ),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}}, "names nothing"),
        ({"type": "object", "properties": {"a": {"enum": list(range(10_000))}}}, "a: enum has 10000 values, at most 1000"),
        (
            {"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "object"}, {"type": "array"}]}}},
            "a: anyOf of 3 shapes",
        ),
        ({"type": "object", "properties": {"a": {"minimum": 1}}}, "a: type is None"),
        ({"type": "object", "properties": {"a\nb": {"type": "string"}}}, "a name that no line can hold"),
        ({"type": "object", "properties": {" ": {"type": "string"}}}, "a name that no line can hold"),
        ({"type": "array", "items": {"anyOf": [{"type": "string"}, {"minimum": 1}]}}, r"\[\]: anyOf of 2 shapes"),
        ({"type": "object", "properties": {"a_b": {"type": "string"}, "a b": {"type": "string"}}}, "are read as the same"),
        ({"type": "object", "properties": {"a": {"type": "strnig"}}}, "no valid JSON schema"),
        ({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["b"]}, "required names 'b'"),
    ],
)
def test_what_no_record_can_have(schema: dict[str, Any], problem: str) -> None:
    with pytest.raises(SchemaError, match=problem):
        _ = Record(source=json.dumps(schema)).tree


@pytest.mark.parametrize("name", ["type", "properties", "required", "enum", "$ref", "items", "class", "a b-c", "answer", "_id"])
def test_a_field_may_be_called_like_a_keyword(name: str) -> None:
    kind = Record(source=json.dumps({"type": "object", "properties": {name: {"type": "number"}}, "required": [name]}))
    gold = json.dumps({name: 12})
    for one, condition in CONDITIONS.items():
        if one == "xml_prompt" and name in ("$ref", "a b-c"):
            continue
        text = condition.example(kind, "So it is.", gold)
        assert reading(one, text, gold, kind).correct, text
        constraint = condition.constraint(kind)
        assert constraint is None or allows(constraint, text)


def of(properties: dict[str, Any], **further: Any) -> Record:
    return Record(source=json.dumps({"type": "object", "properties": properties, "required": list(properties), **further}))


def test_names_with_dots_and_brackets_have_paths_of_their_own() -> None:
    text = {"type": "string"}
    kind = of(
        {
            "a.b": text,
            "a": {"type": "object", "properties": {"b": text, "c[]": text}},
            "d": {"type": "array", "items": of({"e.f": text}).schema},
        }
    )
    assert list(kind.leaves) == ['["a.b"]', "a.b", 'a["c[]"]', 'd[]["e.f"]']
    gold = json.dumps({"a.b": "one", "a": {"b": "two", "c[]": "three"}, "d": [{"e.f": "four"}]})
    assert kind.verdicts(gold.replace("two", "five"), gold) == {
        '["a.b"]': "right",
        "a.b": "wrong",
        'a["c[]"]': "right",
        'd[]["e.f"]': "right",
    }
    for name in ("json_prompt", "yaml_prompt", "json_schema_direct"):
        text_ = CONDITIONS[name].example(kind, "So it is.", gold)
        assert reading(name, text_, gold, kind).correct, text_


OPEN_MAP = {"type": "object", "additionalProperties": {"type": "integer"}}


@pytest.mark.parametrize("name", ["json_prompt", "yaml_prompt", "xml_prompt", "free_cot", "json_schema_direct"])
def test_an_object_without_listed_fields_is_judged_as_a_whole(name: str) -> None:
    kind = of({"meta": OPEN_MAP, "rest": {"type": "array"}, "total": {"type": "number"}})
    gold = json.dumps({"meta": {"b": 2, "a": 1}, "rest": ["x", {"y": None}], "total": 3})
    assert list(kind.leaves) == ["meta", "rest", "total"]
    text = CONDITIONS[name].example(kind, "So it is.", gold)
    assert reading(name, text, gold, kind).correct, text
    other = json.dumps({"meta": {"a": 1, "b": 3}, "rest": ["x", {"y": None}], "total": 3})
    verdicts = kind.verdicts(other, gold)
    assert verdicts == {"meta": "wrong", "rest": "right", "total": "right"}
    assert kind.verdicts(json.dumps({"meta": {"a": 1.0, "b": 2}, "rest": [], "total": 3}), gold)["meta"] == "right"
    assert kind.fault({"meta": {"a": "one"}, "rest": [], "total": "3"}).startswith("$.meta")
    assert not kind.fault({"meta": {"a": "1"}, "rest": [], "total": "3"}), "scalars are as they were written"


ROUTE = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "number"}}}}]}


@pytest.mark.parametrize(
    ("fragment", "values"),
    [
        ({"description": "Whatever."}, ["hello", 12, True, {"a": [1]}]),
        (ROUTE, ["hello", [{"n": 1.5}, {"n": 2}]]),
        ({"anyOf": [{"type": "boolean"}, {"type": "object", "properties": {"n": {"type": "integer"}}}]}, [True, {"n": 3}]),
    ],
)
def test_what_may_have_several_shapes_is_judged_as_a_whole(fragment: dict[str, Any], values: list[Any]) -> None:
    kind = of({"a": fragment, "b": {"type": "number"}})
    golds = [json.dumps({"a": value, "b": 1}) for value in values]
    for gold in golds:
        for name in ("json_prompt", "yaml_prompt", "xml_prompt", "free_cot"):
            assert reading(name, CONDITIONS[name].example(kind, "So it is.", gold), gold, kind).correct, (name, gold)
        assert [other for other in golds if kind.same(other, gold)] == [gold]


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ({"type": "array", "items": {"type": "string"}}, ["a", "b"], ["a", "c"]),
        (
            {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "number"}}}},
            [{"n": 1}, {"n": 2}],
            [{"n": 1}],
        ),
        ({"type": "number"}, 3, 4),
        ({"enum": ["red", "green"]}, "red", "green"),
        (OPEN_MAP, {"a": 1}, {"a": 2}),
    ],
)
def test_a_value_that_is_no_object_of_fields_is_the_one_field_of_a_record(schema: dict[str, Any], right: Any, wrong: Any) -> None:
    kind = Record(source=json.dumps(schema))
    assert kind.wrapped
    assert list(kind.tree.members) == ["value"]
    gold, other = (json.dumps({"value": one}) for one in (right, wrong))
    for name in ("json_schema_direct", "json_prompt", "yaml_prompt", "free_cot"):
        condition = CONDITIONS[name]
        assert reading(name, condition.example(kind, "So it is.", gold), gold, kind).correct, name
        assert not reading(name, condition.example(kind, "So it is.", other), gold, kind).correct, name
    assert not of({"a": {"type": "string"}}).wrapped


def test_a_field_that_is_called_like_the_rationale_is_named() -> None:
    kind = Record(source=json.dumps({"type": "object", "properties": {"Reasoning": {"type": "number"}}}))
    with pytest.raises(UserError, match=r"a field like the rationale's 'reasoning': give the condition another reasoning_field"):
        CONDITIONS["json_prompt"].example(kind, "So.", "{}")
    assert fmtbench.condition("json_prompt", reasoning_field="why").example(kind, "So.", '{"Reasoning": 1}')


def test_what_the_decoder_ignores_is_found_by_trying() -> None:
    fields = {
        "a": {"type": "integer", "minimum": 3},
        "b": {"type": "string", "format": "email"},
        "c": {"type": "array", "items": {"type": "number", "multipleOf": 2}, "uniqueItems": True, "maxItems": 3},
        "d": {"type": "string", "pattern": "^a+$", "maxLength": 3},
        "e": {"type": "string", "format": "date"},
    }
    found = ignored({"type": "object", "properties": fields})
    assert found == ["a: minimum", "b: format email", "c: uniqueItems", "c[]: multipleOf", "d: pattern"]


def test_a_format_is_enforced_as_json() -> None:
    """Outlines alone writes a date without its quotation marks."""
    kind = Record(
        source=json.dumps({"type": "object", "properties": {"d": {"type": "string", "format": "date"}}, "required": ["d"]})
    )
    constraint = Condition(reasoning="none", asked="json", enforced="schema", order="answer_only").constraint(kind)
    assert constraint
    assert allows(constraint, '{"d": "2024-03-12"}')
    assert not allows(constraint, '{"d": 2024-03-12}')
    assert not allows(constraint, '{"d": "2024-13-12"}')
