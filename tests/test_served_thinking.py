"""Thoughts of a served model: how each dialect asks for one, where the server puts it, and what it must not do unseen."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from fmtbench.backbone import Backbone
from fmtbench.backends.llamacpp import LlamaCpp
from fmtbench.backends.proof import PROBE, PROBE_GRAMMAR
from fmtbench.backends.reply import Token, token_ends
from fmtbench.backends.served_thoughts import PROBE_ROOM, probe_of
from fmtbench.backends.server import Server
from fmtbench.errors import UserError
from fmtbench.thinking import ThinkingStyle
from fmtbench.types import Constraint, Generation, Message, Request, Thinking
from tests.http_server import Answer, Body, completion, obedient, serving

THINKS = Backbone(
    name="m", chat_template_kwargs={"enable_thinking": False}, thinking=ThinkingStyle(switch={"enable_thinking": True})
)
ASKED = (Message(role="user", content="What is 40 + 2?"),)
SAID = "Forty and two. The answer is 999."


def thought(
    text: str | None, reasoning: str, tokens: int | None = None, field: str = "reasoning_content", **choice: Any
) -> Answer:
    """A completion whose server keeps the model's thought apart."""
    answer = completion(text or "", **choice)
    answer.content["choices"][0]["message"] |= {"content": text, field: reasoning}
    if tokens is not None:
        answer.content["usage"] |= {"completion_tokens": tokens + 11, "completion_tokens_details": {"reasoning_tokens": tokens}}
    return answer


@contextmanager
def asked(answer: Answer, dialect: str = "vllm", **request: Any) -> Iterator[tuple[Generation, list[Body]]]:
    """What one request gives, and what was sent for it."""

    def chat(body: Body) -> Answer:
        return obedient(body) if "qx" in json.dumps(body) and "Say hello" in json.dumps(body) else answer

    with serving(chat) as seen:
        session = Server(url=f"{seen.url}", dialect=dialect).open(THINKS)  # type: ignore[arg-type]
        (one,) = session.generate([Request(messages=ASKED, **request)])
        yield one, seen.bodies


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_what_a_server_keeps_apart_is_the_thought(field: str) -> None:
    with asked(thought("The answer is 42.", SAID, 9, field), thinking=Thinking()) as (one, _):
        assert (one.thought, one.thought_tokens, one.text, one.finish_reason) == (SAID, 9, "The answer is 42.", "stop")
        assert one.completion_tokens == 20


def test_a_thought_in_the_text_is_taken_out_of_it() -> None:
    with asked(completion(f"<think>\n{SAID}\n</think>\n\nThe answer is 42."), thinking=Thinking()) as (one, _):
        assert (one.thought, one.text) == (SAID, "The answer is 42.")
    with asked(completion(f"<think>\n{SAID}", finish_reason="length"), thinking=Thinking()) as (one, _):
        assert (one.thought, one.text, one.finish_reason) == (SAID, "", "length")


def test_tokens_of_a_thought_in_the_text_are_counted_where_the_server_tells_them() -> None:
    pieces = ["<think>", "a b", "</think>", "\n\n", "The answer", " is 42."]
    told = completion("".join(pieces), logprobs={"content": [{"token": piece, "logprob": -0.1} for piece in pieces]})
    with asked(told, thinking=Thinking()) as (one, _):
        assert (one.thought, one.text) == ("a b", "The answer is 42.")
        assert (one.thought_tokens, one.token_ends) == (4, (0, 0, 0, 0, 10, 17))


def test_a_thought_that_the_limit_cuts_is_kept() -> None:
    with asked(thought(None, SAID, finish_reason="length"), thinking=Thinking()) as (one, _):
        assert (one.thought, one.text, one.finish_reason) == (SAID, "", "length")


def test_a_server_that_thinks_when_told_not_to_is_recorded() -> None:
    """Scoring counts such replies and says so (tests/test_thinking_runs.py)."""
    with asked(thought("The answer is 42.", SAID, 9), chat_template_kwargs={"enable_thinking": False}) as (one, bodies):
        assert (one.thought, one.text, one.finish_reason) == (SAID, "The answer is 42.", "stop")
        assert bodies[-1]["chat_template_kwargs"] == {"enable_thinking": False}


def test_a_thought_that_is_only_counted_has_its_tokens() -> None:
    """As hosted models do, which show none of it."""
    with asked(thought("The answer is 42.", "", 12), thinking=Thinking()) as (one, _):
        assert (one.thought, one.thought_tokens) == ("", 12)


@pytest.mark.parametrize(
    "details", [None, [], "x", {"reasoning_tokens": None}, {"reasoning_tokens": -3}, {"reasoning_tokens": "9"}]
)
def test_counts_of_another_shape_are_no_counts(details: Any) -> None:
    answer = completion("The answer is 42.")
    answer.content["usage"]["completion_tokens_details"] = details
    with asked(answer) as (one, _):
        assert (one.thought_tokens, one.finish_reason) == (0, "stop")


# -- constraints


def test_a_constrained_reply_after_a_thought_is_checked_without_it() -> None:
    with asked(thought('{"a": "zj"}', SAID), constraint=PROBE_GRAMMAR, thinking=Thinking()) as (one, _):
        assert (one.finish_reason, one.text, one.thought) == ("stop", '{"a": "zj"}', SAID)


def test_a_constrained_reply_that_should_have_thought_first_is_an_error() -> None:
    with asked(completion('{"a": "zj"}'), constraint=PROBE_GRAMMAR, thinking=Thinking()) as (one, _):
        assert one.finish_reason == "error"
        assert "the server tells of no thought: it masked from the first token" in one.error
        assert "--reasoning-parser" in one.error


def test_a_thought_beyond_its_budget_is_an_error() -> None:
    with asked(thought("The answer is 42.", SAID, 500), thinking=Thinking(tokens=16)) as (one, bodies):
        assert one.error == "the server let the model think for 500 tokens, and its budget was 16"
        assert bodies[-1]["thinking_token_budget"] == 16
    with asked(thought("The answer is 42.", SAID, 30), thinking=Thinking(tokens=16)) as (one, _):
        assert one.finish_reason == "stop", "its own words at the end of a thought count as well"


# -- what is sent


@pytest.mark.parametrize(
    ("dialect", "arguments", "sent"),
    [
        ("vllm", {"enable_thinking": True}, {"chat_template_kwargs": {"enable_thinking": True}}),
        ("sglang", {"enable_thinking": True}, {"chat_template_kwargs": {"enable_thinking": True}}),
        ("llamacpp", {"reasoning_effort": "low"}, {"chat_template_kwargs": {"reasoning_effort": "low"}}),
        ("openai", {"reasoning_effort": "low"}, {"reasoning_effort": "low"}),
        ("vllm", {}, {}),
        ("openai", {}, {}),
    ],
)
def test_the_arguments_of_the_template_are_sent_as_the_dialect_takes_them(dialect: str, arguments: Any, sent: Any) -> None:
    with asked(completion("The answer is 42."), dialect, chat_template_kwargs=arguments) as (_, bodies):
        told = {name: bodies[-1][name] for name in bodies[-1] if name in ("chat_template_kwargs", "reasoning_effort")}
        assert told == sent
        assert not [name for name in bodies[-1] if "budget" in name]


def test_the_field_for_a_budget_is_that_of_the_dialect() -> None:
    with asked(thought("The answer is 42.", SAID), "llamacpp", thinking=Thinking(tokens=16)) as (_, bodies):
        assert bodies[-1]["thinking_budget_tokens"] == 16


def test_arguments_that_a_dialect_has_no_field_for_are_the_users_mistake() -> None:
    server = Server(url="http://localhost:1/v1", dialect="openai")
    with pytest.raises(UserError, match=r"dialect=openai has no field for enable_thinking.* such servers take reasoning_effort"):
        server.check_template(THINKS)
    server.check_template(Backbone(name="m", chat_template_kwargs={"reasoning_effort": "low"}))
    Server(url="http://localhost:1/v1", dialect="vllm").check_template(THINKS)


@pytest.mark.parametrize(
    ("dialect", "budget", "masked", "why"),
    [
        ("vllm", True, True, ""),
        ("sglang", False, True, ""),
        ("sglang", True, False, "backend.dialect=sglang has no field for the tokens of a thought"),
        ("openai", False, True, ""),
        ("openai", True, False, "backend.dialect=openai has no field for the tokens of a thought"),
        ("llamacpp", True, False, ""),
        ("llamacpp", False, True, "llama.cpp holds a grammar from the first token on"),
    ],
)
def test_what_a_dialect_cannot_do_is_refused_with_the_reason(dialect: Any, budget: bool, masked: bool, why: str) -> None:
    said = Server(url="http://localhost:1/v1", dialect=dialect).why_unthinkable(budget=budget, masked=masked)
    assert said.startswith(why)
    assert bool(said) == bool(why)
    if dialect == "llamacpp":
        assert LlamaCpp().why_unthinkable(budget=budget, masked=masked) == said


# -- the probe, and which token wrote what


def test_the_probe_is_told_not_to_think_or_has_room_to() -> None:
    assert probe_of(Backbone(name="m")) == PROBE
    assert probe_of(THINKS).chat_template_kwargs == {"enable_thinking": False}
    assert probe_of(THINKS).max_tokens == PROBE.max_tokens
    always = Backbone(name="m", thinking=ThinkingStyle(), context=32768)
    assert probe_of(always).max_tokens == PROBE_ROOM


def test_the_probe_that_thinks_proves_as_well() -> None:
    with serving(lambda body: thought('{"a": "qx"}', SAID)) as seen:
        session = Server(url=seen.url).open(Backbone(name="m", thinking=ThinkingStyle(), context=32768))
        constraint = Constraint(kind="regex", source='\\{"a": "(qx|zj)"\\}')
        (one,) = session.generate([Request(messages=ASKED, constraint=constraint, thinking=Thinking())])
        assert one.finish_reason == "stop"
        assert [body["max_tokens"] for body in seen.bodies] == [PROBE_ROOM, 256]


def tokens(*texts: str) -> Sequence[Token]:
    return [Token(token=text) for text in texts]


def test_tokens_of_a_thought_end_where_the_text_begins() -> None:
    spelled = tokens("<think>", "a b", "</think>", "\n\n", "The answer", " is 42.", "<|end|>")
    assert token_ends(spelled, "The answer is 42.", thought=True) == (0, 0, 0, 0, 10, 17, 17)
    assert token_ends(spelled, "The answer is 42.") == ()
    assert token_ends(spelled, "Another text.", thought=True) == ()
