"""A reply that is begun goes on in vLLM, in this process and served: behind the same tokens, and under what may still follow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fmtbench.answers import Number
from fmtbench.backends.tokens import prompt
from fmtbench.conditions.begun import begun
from fmtbench.conditions.condition import Condition
from fmtbench.decoding.grammar import allows
from fmtbench.types import Message, Request

pytestmark = pytest.mark.model
ASKED = Request(messages=(Message(role="user", content="What is 7 + 5? Think step by step."),), max_tokens=60)
HELD = Condition(asked="json", enforced="schema")
SAID = "First, I add seven and five. That makes"


@pytest.fixture(scope="module", params=["vllm", "served"])
def engine(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(f"{request.param}_engine")


def going_on(prefix: str, **changes: Any) -> Request:
    return replace(ASKED, messages=(*ASKED.messages, Message(role="assistant", content=prefix)), **changes)


@pytest.mark.parametrize("prefix", [SAID, '{"reasoning": "' + SAID, " so, 한국"])
def test_it_goes_on_behind_the_tokens_that_hf_has(engine: Any, tokenizer: Any, prefix: str) -> None:
    """The server renders the chat by its own means: as many tokens, none of which closes the turn."""
    request = going_on(prefix, max_tokens=4)
    (done,) = engine.generate([request])
    assert not done.error
    assert done.prompt_tokens == len(prompt(tokenizer, request).ids)
    assert not done.text.startswith(prefix), "the beginning is no part of what was generated"


def test_masked_it_keeps_the_grammar_of_the_whole(engine: Any) -> None:
    prefix, rest = begun(HELD, Number(), SAID)
    whole = HELD.constraint(Number())
    assert whole is not None
    (done,) = engine.generate([going_on(prefix, constraint=rest, max_tokens=160)])
    assert not done.error
    assert not done.text.startswith("{"), "it goes on, and begins no object"
    if done.finish_reason == "stop":
        assert allows(whole, prefix + done.text)


def test_a_greedy_reply_goes_on_as_it_went(engine: Any) -> None:
    """Its first words again; later ones may differ by rounding (docs/guides/interventions.md)."""
    (said,) = engine.generate([ASKED])
    words = said.text.split(" ")
    prefix = " ".join(words[:6])
    (rest,) = engine.generate([going_on(prefix, max_tokens=8)])
    assert said.text[len(prefix) :].startswith(rest.text[:6])
