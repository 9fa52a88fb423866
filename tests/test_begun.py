"""Cutting a rationale and taking it up in another format: nothing of it is lost, and the grammar goes on where it stood."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmtbench.answers import AnswerKind, Choice, Number, Text, YesNo
from fmtbench.conditions.begun import begun, cut, rationale_of, why_not_begun
from fmtbench.conditions.condition import Condition
from fmtbench.decoding.grammar import ANYTHING, allows
from fmtbench.decoding.residual import in_string
from fmtbench.errors import UserError

FREE, JSON = Condition(), Condition(asked="json", enforced="schema")
KINDS: dict[str, AnswerKind] = {"18": Number(), "Paris": Text(), "yes": YesNo(), "B": Choice(options=("red", "blue"))}
PIECES = [*'ab "\\\n\t\r\b\f/\x01\x7f\u0085{},:<', "\u2028", "é", "한", "😀", "answer", '", "', "The answer is 3."]
prose = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


def written(value: str) -> str:
    return value if value.isdigit() else json.dumps(value)


@given(prose)
def test_prose_to_json_to_prose_is_the_identity(said: str) -> None:
    """What a format writes is what it reads, to the character: the null of the swap is exact."""
    for answer, kind in KINDS.items():
        reply = f'{begun(JSON, kind, said).prefix}", "answer": {written(answer)}}}'
        assert rationale_of(JSON, reply, kind) == said
        assert begun(FREE, kind, said).prefix == said


@given(prose, prose)
def test_the_grammar_goes_on_where_it_stood(said: str, more: str) -> None:
    """Held against the whole grammar: behind a prefix the same endings are allowed, and no prefix leaves it."""
    for answer, kind in KINDS.items():
        prefix, rest = begun(JSON, kind, said)
        whole = JSON.constraint(kind)
        assert whole is not None
        assert rest is not None
        ends = [
            f'{more}", "answer": {written(answer)}}}',
            f'","answer":{written(answer)} }}',
            f'{more}"',
            more,
            f'", "x": {answer}}}',
        ]
        ends += [f'{json.dumps(more, ensure_ascii=False)[1:-1]}", "answer": {written(answer)}}}']
        for end in ends if in_string(said) else ():
            assert allows(rest, end) == allows(whole, prefix + end)
        assert allows(whole, prefix + ends[1]) == in_string(said)


@pytest.mark.parametrize("name", ["reasoning", "the thoughts", "a.b+c?", "근거"])
def test_any_name_of_the_field(name: str) -> None:
    condition = Condition(asked="json", enforced="schema", reasoning_field=name, answer_field="final")
    prefix, rest = begun(condition, Number(), "Two and two")
    whole = condition.constraint(Number())
    assert whole is not None
    assert rest is not None
    assert allows(rest, ' is 4", "final": 4}')
    assert allows(whole, f'{prefix} is 4", "final": 4}}')
    assert not allows(rest, ' is 4", "reasoning": 4}')


def test_without_a_mask_nothing_is_forbidden_and_the_sham_goes_on_as_it_was() -> None:
    assert begun(Condition(asked="json"), Number(), "So").constraint is None
    assert begun(Condition(asked="json"), Number(), "So").prefix == '{"reasoning": "So'
    assert begun(Condition(enforced="sham"), Number(), "So") == ("So", ANYTHING)


@given(prose, st.floats(0, 1))
def test_cuts_are_at_the_ends_of_words(said: str, fraction: float) -> None:
    kept = cut(said, fraction)
    assert said.startswith(kept)
    assert kept.split() == said.split()[: round(fraction * len(said.split()))]
    assert kept == kept.rstrip()
    assert not re.match(r"\S", said[len(kept) :]) or not kept


def test_cuts_of_a_rationale() -> None:
    said = " One two,\nthree four five "
    assert [cut(said, f) for f in (0, 0.25, 0.5, 0.75, 1)] == ["", " One", " One two,", " One two,\nthree four", said.rstrip()]


@pytest.mark.parametrize(
    ("condition", "reply", "said"),
    [
        (FREE, "First 7.\nThen 12.\nThe answer is 12.", "First 7.\nThen 12.\n"),
        (FREE, "\n First 7. The answer is 12. Or so.", "\n First 7. "),
        (FREE, "It is hard to say", "It is hard to say"),
        (FREE, "The answer is 12.", ""),
        (FREE, "The answer is 12. Seven and five make it.", None),
        (JSON, '{"reasoning": "a \\"b\\"\\nc", "answer": 12}', 'a "b"\nc'),
        (JSON, '{"answer": 12, "reasoning": "a"}', None),
        (JSON, '{"reasoning": "a b', ""),
        (JSON, "no object", ""),
    ],
)
def test_the_rationale_of_a_reply(condition: Condition, reply: str, said: str | None) -> None:
    assert rationale_of(condition, reply, Number()) == said


def test_every_condition_can_be_cut_or_says_why(conditions: dict[str, Any]) -> None:
    """By the presets: those that hold one rationale from the first token, in prose or in JSON."""
    reasons = {name: why_not_begun(condition).partition(":")[0] for name, condition in conditions.items()}
    cuttable = {name for name, reason in reasons.items() if not reason}
    assert {"free_cot", "json_prompt", "json_schema", "json_schema_unasked", "sham", "restricted_cot_25"} <= cuttable
    known = {
        "json_schema_answer_first": "answer_first",
        "json_schema_staged": "several_stages",
        "staged": "several_stages",
        "direct": "no_rationale",
        "json_mode": "enforced=object",
        "think_then_json": "when=answer",
        "nl_to_json": "when=second_pass",
        "yaml_prompt": "asked=yaml",
        "restricted_cot_25_hard": "budget=hard",
        "json_schema_list": "rationale=list",
        "json_prompt_list": "rationale=list",
        "no_line_breaks": "enforced=one_line",
        "json_schema_reconsidered": "when=reconsider",
        "json_prompt_retry": "remedy=retry",
    }
    assert {name: reasons[name] for name in known} == known
    for name, condition in conditions.items():
        if reasons[name]:
            with pytest.raises(UserError, match=re.escape(reasons[name])):
                begun(condition, Number(), "So")
        else:
            prefix, _ = begun(condition, Number(), "So it")
            assert prefix.endswith("So it")
