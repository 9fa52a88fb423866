"""Random walks through the real Outlines grammar: whatever the mask allows parses, validates, and keeps the key order."""

import json
import random
import re
import string
from functools import cache
from typing import Any, Literal

import jsonschema
import pytest
from outlines_core import Guide, Index, Vocabulary

from fmtbench.answers import Choice, Label, Number, Text, YesNo
from fmtbench.decoding.grammar import ANYTHING, allows, regex
from fmtbench.decoding.schema import json_schema
from fmtbench.errors import DecoderError
from fmtbench.formats.json import parse_object
from fmtbench.types import Constraint, Generation
from tests.conftest import options

KINDS = [Number(), Choice(options=("x", "y", "z")), Label(labels=("Business & Management", 'a "quoted" label')), YesNo(), Text()]
TOKENS = [*string.printable, "é", "서", '{"', '":', '", "', "reasoning", "answer", "true", "12", "\\n", "  "]
END = len(TOKENS)
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
VOCABULARY = Vocabulary(END, {token: [i] for i, token in enumerate(TOKENS)})


def walk(index: Index, rng: random.Random) -> str:
    """One random walk to the end; closing tokens are favoured, so that it gets there."""
    guide, written = Guide(index), []
    for _ in range(2000):
        allowed = guide.get_tokens()
        closing = [token for token in allowed if token == END or TOKENS[token] in '"}']
        token = rng.choice(closing if closing and rng.random() < 0.2 else allowed)
        if token == END:
            return "".join(written)
        written.append(TOKENS[token])
        guide.advance(token)
    raise AssertionError("the walk did not end")


@cache
def walked(constraint: Constraint) -> list[str]:
    """Texts of sixty walks, which keep to the schema. Many conditions share theirs."""
    index, schema = Index(regex(constraint), VOCABULARY), jsonschema.Draft202012Validator(json.loads(constraint.source))
    texts = [walk(index, random.Random(seed)) for seed in range(60)]
    for text in texts:
        schema.validate(json.loads(text))
        assert allows(constraint, text)
        assert not re.search(r"\s\s|[\t\n]", STRING.sub('""', text)), "at most one space between tokens"
    return texts


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
@pytest.mark.parametrize(
    "name",
    [
        name
        for name in options("condition")
        if "schema" in name and not re.search("hard|unenforced|retry|compact|pretty|free_space|tool|xml|yaml", name)
    ],
)
def test_walks(conditions: dict[str, Any], name: str, kind: Any) -> None:
    condition = conditions[name]
    condition = condition.opening if condition.when == "reconsider" else condition
    constraint = condition.constraint(kind)
    for text in walked(constraint):
        members = parse_object(text)
        assert members is not None
        assert [member.key for member in members] == list(condition.layout.fields)
        assert condition.read(Generation(key="", text=text), kind).status in ("ok", "no_answer")


def test_the_sham_allows_everything() -> None:
    index = Index(regex(ANYTHING), VOCABULARY)
    guide = Guide(index)
    assert set(guide.get_tokens()) == {*range(len(TOKENS)), END}
    assert allows(ANYTHING, "any\n\ttext é \\ {")


def test_a_schema_names_nothing_but_the_fields() -> None:
    schema = json.loads(json_schema({"reasoning": str, "answer": float}))
    assert schema == {
        "type": "object",
        "properties": {"reasoning": {"type": "string"}, "answer": {"type": "number"}},
        "required": ["reasoning", "answer"],
        "additionalProperties": False,
    }


def test_values_of_another_order_are_another_schema() -> None:
    """Though Python calls the two annotations equal."""
    made = [json.loads(json_schema({"answer": Literal[names]})) for names in (("b", "a"), ("a", "b"), ("b", "a"))]
    assert [one["properties"]["answer"]["enum"] for one in made] == [["b", "a"], ["a", "b"], ["b", "a"]]


def test_a_schema_that_outlines_cannot_do_is_refused() -> None:
    with pytest.raises(DecoderError, match="cannot turn this schema"):
        regex(Constraint(kind="json_schema", source='{"type": "unheard of"}'))
