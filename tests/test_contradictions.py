"""Levels that cannot go together are refused with the reason, each of them; everything else is a condition."""

import itertools
import re
from typing import Any, get_args, get_type_hints

import pytest
from pydantic import ValidationError

from fmtbench.answers import Number
from fmtbench.conditions.condition import Condition
from fmtbench.decoding.grammar import allows
from fmtbench.formats import FORMATS

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"reasoning": "none"}, "reasoning=none contradicts order=reasoning_first: reasoning=none goes with order=answer_only"),
    ({"order": "answer_only"}, "reasoning=free contradicts order=answer_only"),
    ({"reasoning": "staged", "order": "answer_only"}, "reasoning=staged contradicts order=answer_only"),
    ({"reasoning": "budget"}, "reasoning=budget contradicts words=None: reasoning=budget needs words"),
    ({"words": 25}, "reasoning=free contradicts words=25"),
    ({"reasoning": "draft", "words": 5}, "reasoning=draft contradicts words=5"),
    ({"answer_field": "reasoning"}, "are not all different: rename one"),
    ({"reasoning": "staged", "stages": ("a", "a")}, "are not all different: rename one"),
    ({"asked": "json", "when": "answer", "order": "answer_first"}, "when=answer contradicts order=answer_first"),
    (
        {"asked": "json", "when": "answer", "order": "answer_only", "reasoning": "none"},
        "when=answer contradicts order=answer_only",
    ),
    ({"asked": "json", "when": "second_pass", "order": "answer_first"}, "when=second_pass contradicts order=answer_first"),
    ({"when": "answer"}, "when=answer contradicts asked=text: .* set asked=json"),
    ({"when": "answer", "asked": "yaml"}, "when=answer contradicts asked=yaml: .* set asked=json"),
    ({"when": "second_pass"}, "when=second_pass contradicts asked=text"),
    ({"when": "second_pass", "asked": "json", "enforced": "sham"}, "when=second_pass contradicts enforced=sham"),
    ({"asked": "markdown", "enforced": "schema"}, "enforced=schema contradicts asked=markdown: there is no grammar of markdown"),
    ({"asked": "tool", "enforced": "object"}, "enforced=object contradicts asked=tool: any object is one of JSON"),
    ({"calls": "llama"}, "calls=llama contradicts asked=text, enforced=no: .* set asked=tool and enforced=schema"),
    ({"asked": "tool", "enforced": "schema", "calls": "xml"}, "Input should be one of hermes, mistral, llama, pythonic"),
    ({"asked": "xml", "enforced": "schema", "rationale": "list"}, "rationale=list contradicts asked=xml, enforced=schema"),
    ({"asked": "xml", "enforced": "object"}, "enforced=object contradicts asked=xml"),
    (
        {"asked": "prose", "enforced": "object"},
        "enforced=object contradicts asked=prose: any object is one of JSON, so ask for json",
    ),
    ({"enforced": "object"}, "enforced=object contradicts asked=text: nothing would name the keys"),
    ({"schema_shown": False}, "schema_shown=false contradicts asked=text, enforced=no"),
    ({"schema_shown": False, "asked": "json"}, "schema_shown=false contradicts asked=json, enforced=no"),
    (
        {"schema_shown": False, "asked": "json", "enforced": "object"},
        "schema_shown=false contradicts asked=json, enforced=object",
    ),
    ({"budget": "hard"}, "budget=hard contradicts reasoning=free"),
    ({"budget": "hard", "reasoning": "draft"}, "budget=hard contradicts reasoning=draft"),
    (
        {"budget": "hard", "reasoning": "budget", "words": 9, "order": "answer_first"},
        "budget=hard contradicts when=whole, order=answer_first",
    ),
    (
        {"budget": "hard", "reasoning": "budget", "words": 9, "asked": "json", "enforced": "schema", "when": "answer"},
        "budget=hard contradicts when=answer",
    ),
    ({"budget": "hard", "reasoning": "budget", "words": 9, "asked": "json"}, "budget=hard contradicts asked=json, enforced=no"),
    (
        {"budget": "hard", "reasoning": "budget", "words": 9, "enforced": "sham"},
        "budget=hard contradicts asked=text, enforced=sham",
    ),
    ({"thinking": "budget"}, "thinking=budget contradicts thinking_tokens=None: thinking=budget needs thinking_tokens"),
    ({"thinking": "free", "thinking_tokens": 64}, "thinking=free contradicts thinking_tokens=64"),
    ({"thinking_tokens": 64}, "thinking=off contradicts thinking_tokens=64"),
    ({"thinking": "masked"}, "thinking=masked contradicts enforced=no: only a mask forbids the thought"),
    ({"thinking": "masked", "enforced": "sham"}, "thinking=masked contradicts enforced=sham"),
    (
        {"thinking": "masked", "enforced": "schema", "asked": "json", "when": "answer"},
        "thinking=masked contradicts when=answer: the mask that forbids the thought holds from the first token",
    ),
    ({"rationale": "list"}, "rationale=list contradicts asked=text, enforced=no: .* set asked=json or enforced=schema"),
    ({"rationale": "list", "asked": "prose"}, "rationale=list contradicts asked=prose, enforced=no: a list of strings is JSON's"),
    ({"rationale": "list", "asked": "yaml"}, "rationale=list contradicts asked=yaml, enforced=no"),
    ({"rationale": "list", "enforced": "sham"}, "rationale=list contradicts asked=text, enforced=sham"),
    (
        {"rationale": "list", "asked": "json", "reasoning": "none", "order": "answer_only"},
        "rationale=list contradicts reasoning=none: there is no rationale",
    ),
    ({"rationale": "list", "asked": "json", "when": "answer"}, "rationale=list contradicts when=answer"),
    ({"rationale": "lines", "asked": "json", "when": "answer"}, "rationale=lines contradicts when=answer"),
    (
        {"rationale": "list", "asked": "json", "enforced": "schema", "reasoning": "budget", "words": 9, "budget": "hard"},
        "rationale=list contradicts budget=hard: .* set budget=soft",
    ),
    ({"rationale": "lines"}, "rationale=lines contradicts asked=text, rendering=form, schema_shown=true"),
    ({"rationale": "lines", "enforced": "schema"}, "rationale=lines contradicts asked=text"),
    ({"rationale": "lines", "asked": "xml"}, "rationale=lines contradicts asked=xml"),
    (
        {"rationale": "lines", "asked": "json", "rendering": "typescript"},
        "rationale=lines contradicts asked=json, rendering=typescript",
    ),
    (
        {"rationale": "lines", "asked": "json", "enforced": "schema", "schema_shown": False},
        "rationale=lines contradicts asked=json, rendering=form, schema_shown=false",
    ),
    ({"rationale": "paragraph", "asked": "json"}, "rationale=paragraph contradicts asked=json, enforced=no, reasoning=free"),
    ({"rationale": "paragraph", "enforced": "schema"}, "rationale=paragraph contradicts asked=text, enforced=schema"),
    (
        {"rationale": "paragraph", "reasoning": "staged"},
        "rationale=paragraph contradicts asked=text, enforced=no, reasoning=staged",
    ),
    ({"enforced": "one_line", "asked": "json"}, "enforced=one_line contradicts asked=json: .* set asked=text or asked=prose"),
    ({"enforced": "one_line", "reasoning": "staged"}, "enforced=one_line contradicts reasoning=staged"),
    ({"enforced": "one_line", "asked": "prose", "rationale": "lines"}, "enforced=one_line contradicts rationale=lines"),
    (
        {"enforced": "one_line", "reasoning": "budget", "words": 9, "budget": "hard"},
        "budget=hard contradicts asked=text, enforced=one_line",
    ),
    ({"remedy": "retry"}, "remedy=retry contradicts tries=1: a remedy needs two tries or more"),
    ({"tries": 3}, "remedy=none contradicts tries=3"),
    ({"remedy": "retry", "tries": 0}, "greater than 0"),
    (
        {"remedy": "retry", "tries": 2, "when": "second_pass", "asked": "json"},
        "remedy=retry contradicts when=second_pass: tries are of one reply",
    ),
    ({"remedy": "first_valid", "tries": 2, "when": "reconsider"}, "remedy=first_valid contradicts when=reconsider"),
    ({"formatter": "other"}, "formatter=other contradicts when=whole: another backbone writes the second pass"),
    ({"rationale": "table"}, "Input should be 'string', 'list', 'lines' or 'paragraph'"),
    ({"shots": 2, "reasoning": "staged"}, "shots=2 contradicts reasoning=staged"),
    ({"shots": 2, "reasoning": "budget", "words": 9}, "shots=2 contradicts reasoning=budget"),
    ({"shots": -1}, "greater than or equal to 0"),
    ({"words": 0, "reasoning": "budget"}, "greater than 0"),
    ({"trigger": ""}, "at least 1 character"),
    ({"asked": "html"}, "asked\n  Input should be 'tool', 'json', 'xml', 'yaml', 'toml', 'markdown', 'csv', 'prose' or 'text'"),
    ({"colour": "red"}, "colour"),
]


@pytest.mark.parametrize(("axes", "reason"), REFUSED, ids=[reason[:60] for _, reason in REFUSED])
def test_a_contradiction_is_refused_with_its_reason(axes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Condition(**axes)
    assert re.search(reason, str(refused.value))


def test_every_combination_is_refused_with_a_reason_or_works_as_a_whole() -> None:
    """All levels crossed: what is not refused can be asked, constrained, written and read back."""
    annotations = get_type_hints(Condition)
    levels = {name: get_args(annotations[name]) for name in ("reasoning", "enforced", "when", "order", "budget")}
    levels["asked"] = tuple(FORMATS)
    assert all(levels.values())
    built = 0
    levels["rationale"] = get_args(annotations["rationale"])
    for point in itertools.product(*levels.values()):
        chosen: dict[str, Any] = dict(zip(levels, point))
        chosen |= {"words": 25} if chosen["reasoning"] == "budget" else {}
        condition = built_or_refused(chosen)
        if condition is None:
            continue
        built += 1
        text = condition.example(Number(), "nine times two", "18")
        found = condition.produced.read(text, condition.returned, Number())
        constraint = condition.constraint(Number())
        assert (found.status, found.answer) == ("ok", "18"), chosen
        assert constraint is None or allows(constraint, text), chosen
    assert built > 100


def built_or_refused(axes: dict[str, Any]) -> Condition | None:
    try:
        return Condition(**axes)
    except ValidationError as refused:
        if "contradicts" not in str(refused):
            raise
        return None
