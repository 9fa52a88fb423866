"""Grammars that are no plain schema: word budgets, JSON mode, thinking before the constraint; and the patterns they are of."""

import itertools
import json
import random
import re
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from outlines_core import Guide, Index, Vocabulary

from fmtbench.answers import Label, Number, Text
from fmtbench.conditions.allowed import budgeted_text
from fmtbench.conditions.condition import Condition
from fmtbench.decoding.grammar import allows, regex
from fmtbench.decoding.json_mode import any_object, whitespace
from fmtbench.decoding.patterns import at_most_words, literal, until
from fmtbench.types import Constraint, Generation, Request
from tests.conftest import options
from tests.test_grammar import END, TOKENS, VOCABULARY, walk

TRIGGERS = ["a", "ab", "aa", "aab", "aba", "abab", "aabaa", "abaab"]
INDEXES: dict[str, Index] = {}


def index(constraint: Constraint) -> Index:
    if constraint.source not in INDEXES:
        INDEXES[constraint.source] = Index(regex(constraint), VOCABULARY)
    return INDEXES[constraint.source]


# -- patterns


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_until_a_trigger_on_every_short_text(trigger: str) -> None:
    ends = re.compile(until(trigger))
    for size in range(9):
        for chars in itertools.product("abx", repeat=size):
            text = "".join(chars)
            assert bool(ends.fullmatch(text)) == (text.find(trigger) == size - len(trigger) >= 0)


@given(st.text(max_size=60), st.sampled_from(["Final answer:", "<<", "\n\n", "[x](y)", "^-]\\", "답:"]), st.text(max_size=20))
def test_until_any_trigger(before: str, trigger: str, after: str) -> None:
    for text in (before, before + trigger, before + trigger + after):
        ends = trigger in text and text.find(trigger) == len(text) - len(trigger)
        assert bool(re.fullmatch(until(trigger), text)) == ends


@given(st.text(max_size=30))
def test_a_literal_is_itself_alone(text: str) -> None:
    assert re.fullmatch(literal(text), text)
    assert not re.fullmatch(literal(text), text + "x")


@given(st.lists(st.sampled_from(["one", "é", " ", "  "]), max_size=14), st.integers(2, 6))
def test_at_most_words(pieces: list[str], words: int) -> None:
    text = "".join(pieces)
    few = len(text.split(" ")) - text.split(" ").count("") <= words
    assert bool(re.fullmatch(at_most_words("[^ ]", " ", words, 4), text)) == (few and " " * 5 not in text)
    assert bool(re.fullmatch(at_most_words("[^ ]", " ", words, 28), text)) == few


# -- masks


def test_masking_goes_on_where_a_text_is_whole_but_may_continue() -> None:
    """A reply may end after `a` already, and the mask must bind all the same."""
    from fmtbench.backends.choose import Chooser
    from fmtbench.decoding.decoders import NOBODYS, OutlinesGrammar, OutlinesMatcher
    from fmtbench.decoding.mask_memory import MaskMemory
    from fmtbench.decoding.worker import END, ended

    vocabulary = Vocabulary(NOBODYS, {"a": [0], "b": [1], "c": [2], END: [3]})
    grammar = OutlinesGrammar("a{1,3}", Index(ended("a{1,3}"), vocabulary))
    choose = Chooser([Request(messages=())], [OutlinesMatcher(grammar, MaskMemory(), 3)])
    favours_a = torch.tensor([[4.0, 3.0, 2.0, 1.0]])
    assert [choose([0], favours_a.clone())[0] for _ in range(4)] == [0, 0, 0, 3]


HARD = [(words, enforced) for words in (1, 2, 5, 10) for enforced in ("no", "schema")]


@pytest.mark.parametrize(("words", "enforced"), HARD)
def test_a_hard_budget_is_never_exceeded(words: int, enforced: Any) -> None:
    asked: Any = "json" if enforced == "schema" else "text"
    condition = Condition(reasoning="budget", words=words, budget="hard", asked=asked, enforced=enforced)
    constraint = condition.constraint(Text())
    assert constraint is not None
    for seed in range(40):
        text = walk(index(constraint), random.Random(seed))
        assert allows(constraint, text)
        if enforced == "schema":
            assert list(json.loads(text)) == ["reasoning", "answer"]
            assert len(json.loads(text)["reasoning"].split()) <= words
        else:
            found = re.match(rf"[ \t\r\n]*(?:[^ \t\r\n]+(?:[ \t\r\n]+|$)){{0,{words}}}", text)
            assert found is not None
            behind = text[found.end() :]
            assert behind.startswith("The answer is ") or "The answer is ".startswith(behind)


def test_a_hard_budget_in_text_leaves_a_reply_within_it_alone_and_forces_the_answer_at_its_end() -> None:
    constraint = budgeted_text(5)
    for text in ("", "The answer is 5.", "3 + 2\n\nis 5", "one two three four five", "é  x"):
        assert allows(constraint, text)
    assert allows(constraint, "one two three four five The answer is 5, and more of that")
    assert allows(constraint, "one two three four five\nThe answer is 5.")
    assert not allows(constraint, "one two three four five The end")
    assert not allows(constraint, "one two three four five six The answer is 5.")
    assert not allows(constraint, "one two three four five The answer is 5.\nNo")


def test_a_hard_budget_bounds_the_white_space_that_it_does_not_count() -> None:
    """A small model that repeats a line break would never come to its next word."""
    in_text, in_json = budgeted_text(5), Condition(reasoning="budget", words=5, budget="hard", asked="json", enforced="schema")
    constraint = in_json.constraint(Text())
    assert constraint is not None
    for gap, kept in (("\n\n    ", True), ("\n" * 6, True), ("\n" * 7, False), (" " * 40, False)):
        for around in (f"one{gap}two", f"{gap}one two", f"one two{gap}", f"one two three four five{gap}The answer is 5."):
            assert allows(in_text, around) == kept
        assert allows(constraint, json.dumps({"reasoning": f"one{gap}two", "answer": "5"})) == kept


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda v: st.dictionaries(st.text(max_size=4), v, max_size=3),
        max_leaves=6,
    )
)
def test_json_mode_allows_every_object_up_to_its_depth(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    printable = not re.search(r"[\x00-\x1f\x7f-\x9f]|\\u", text)
    allowed = allows(any_object(), text)
    assert not allowed or isinstance(json.loads(text), dict)
    if isinstance(value, dict) and depth(value) <= 2 and printable:
        assert allowed
    if not isinstance(value, dict) or depth(value) > 2:
        assert not allowed


def depth(value: Any) -> int:
    return 1 + max(map(depth, value.values()), default=0) if isinstance(value, dict) else 0


def test_json_mode_walks_are_json_objects_with_our_whitespace() -> None:
    for seed in range(40):
        text = walk(index(any_object()), random.Random(seed))
        assert isinstance(json.loads(text), dict)
        assert not re.search(r"\s\s|[\t\n]", re.sub(r'"(?:[^"\\]|\\.)*"', '""', text))


# -- think, then constrain

THINK = Condition(asked="json", enforced="schema", when="answer", trigger="Answer:")
DELAYED = [
    ('3 and 4 make 7. Answer: {"answer": 7}', "stop", "ok"),
    ('3 and 4 make 7. Answer:{"answer": 7}', "stop", "ok"),
    ("3 and 4 make 7.", "stop", "missing_trigger"),
    ("", "stop", "no_answer"),
    ('Answer: {"answer": 7}', "stop", "premature_trigger"),
    (' \nAnswer: {"answer": 7}', "stop", "premature_trigger"),
    ("3 and 4 make 7 and", "length", "missing_trigger"),
    ('It is 7. Answer: {"answer": ', "length", "truncated"),
    ("So 7. " + "I add one. " * 20, "length", "loop"),
    ("I'm sorry, but I can't help with that.", "stop", "refused"),
    ('It is 7. Answer: {"answer": 7} as I said', "stop", "another_mark"),
    ('It is 7. Answer: {"reasoning": "x", "answer": 7}', "stop", "schema_violation"),
]


@pytest.mark.parametrize(("text", "finish", "status"), DELAYED)
def test_the_statuses_of_thinking_before_the_constraint(text: str, finish: Any, status: str) -> None:
    found = THINK.read(Generation(key="", text=text, finish_reason=finish), Number())
    assert found.status == status
    if found.span:
        assert text[slice(*found.span)] == found.answer == "7"
        assert text[slice(*found.reasoning[0])].startswith("3 and 4")


def test_nothing_is_masked_before_the_trigger_and_everything_behind_it() -> None:
    constraint = THINK.constraint(Number())
    assert constraint is not None
    guide = Guide(index(constraint))
    for char in 'x\n{"answer" Answe':
        assert set(guide.get_tokens()) == set(range(len(TOKENS))), "every text is allowed, but for its end"
        guide.advance(TOKENS.index(char))
    for char in "r:":
        guide.advance(TOKENS.index(char))
    assert {TOKENS[token] for token in guide.get_tokens()} == {" ", "\n", "{", '{"'}


def test_think_then_json_in_mode_and_sham() -> None:
    as_object = Condition(asked="json", enforced="object", when="answer").constraint(Number())
    assert as_object is not None
    assert allows(as_object, 'So. Final answer: {"x": [1, {}]}') is False
    assert allows(as_object, 'So. Final answer: {"x": [1, 2]}')
    assert Condition(asked="json", enforced="no", when="answer").constraint(Number()) is None


# -- every decoder reads the same language


@pytest.mark.parametrize("name", options("condition"))
def test_the_automaton_takes_the_example_letter_by_letter(conditions: dict[str, Any], name: str) -> None:
    """outlines_core loses what goes on from where a text could have ended to where it cannot: no grammar may need that."""
    condition = conditions[name]
    for kind, answer in ((Number(), "18"), (Label(labels=("positive", "negative")), "negative"), (Text(), "Berlin")):
        constraint = condition.constraint(kind)
        if constraint is None:
            continue
        text = condition.example(kind, "nine times two", answer)
        assert allows(constraint, text)
        guide = Guide(index(constraint))
        for char in text:
            guide.advance(TOKENS.index(char))
        assert END in guide.get_tokens()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a":"b  c\\"  d","e":[1,2]}', "none"),
        ('{ "a": 1, "b": "x\\n  y" }', "one space"),
        ('{"a":  1}', "free"),
        ('{\n  "a": 1\n}\n', "free"),
    ],
)
def test_white_space_is_that_between_tokens(text: str, found: str) -> None:
    assert whitespace(text) == found
