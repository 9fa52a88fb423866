"""Tools of a served model: how they are offered and demanded, and how what a server took apart is read as one reply again."""

from __future__ import annotations

import json
from typing import Any

import pytest

import fmtbench
from fmtbench.answers import Number
from fmtbench.backbone import Backbone
from fmtbench.backends.llamacpp import LlamaCpp
from fmtbench.backends.server import Server
from fmtbench.readers.latent import read_latent
from fmtbench.running.calling import tools_offered
from fmtbench.types import Generation, Message, Request
from tests.http_server import Answer, Body, completion, obedient, only_asks, serving

SAID = (Message(role="user", content="What is 9 * 2?"),)
HELD = '{"reasoning": "9 * 2 = 18", "answer": 18}'
PROMPT, SCHEMA = fmtbench.condition("tool_prompt"), fmtbench.condition("tool_schema", calls="served")


def called(*arguments: Any, content: str | None = None, name: str = "submit", finish: str = "tool_calls") -> Answer:
    """A completion whose message has calls."""
    answer = completion("", finish)
    calls = [{"id": f"c{k}", "type": "function", "function": {"name": name, "arguments": one}} for k, one in enumerate(arguments)]
    answer.content["choices"][0]["message"] = {"role": "assistant", "content": content, "tool_calls": calls}
    return answer


def asked(answer: Answer, condition: Any = PROMPT, dialect: str = "vllm") -> tuple[Generation, Body]:
    request = Request(
        messages=SAID, constraint=condition.constraint(Number()), chat_template_kwargs=tools_offered(condition, Number())
    )

    def chat(body: Body) -> Answer:
        return obedient(body) if only_asks(body) or "qx" in json.dumps(body) else answer

    with serving(chat) as seen:
        session = Server(url=seen.url, dialect=dialect).open(Backbone(name="m"))  # type: ignore[arg-type]
        (one,) = session.generate([request])
        return one, seen.bodies[-1]


@pytest.mark.parametrize("dialect", ["vllm", "sglang", "llamacpp", "openai"])
@pytest.mark.parametrize("condition", [PROMPT, SCHEMA], ids=["asked", "enforced"])
def test_a_tool_is_offered_and_its_call_is_read(dialect: str, condition: Any) -> None:
    one, body = asked(called(HELD), condition, dialect)
    assert (one.finish_reason, one.error) == ("stop", "")
    found = condition.read(one, Number())
    assert (found.status, found.answer) == ("ok", "18")
    (tool,) = body["tools"]
    assert list(tool["function"]["parameters"]["properties"]) == ["reasoning", "answer"]
    assert body["tool_choice"] == ("required" if condition is SCHEMA else "auto")
    assert tool["function"].get("strict", False) == (condition is SCHEMA and dialect == "openai")
    assert not {"response_format", "structured_outputs", "regex", "grammar", "chat_template_kwargs"} & body.keys()


@pytest.mark.parametrize(
    ("answer", "status", "latent"),
    [
        (called(HELD, content="I will call it.\n"), "another_mark", "18"),
        (called(json.loads(HELD)), "ok", "18"),
        (called(json.dumps(HELD)), "ok", "18"),
        (called(HELD, HELD), "schema_violation", "18"),
        (called(HELD, name="calculate"), "schema_violation", "18"),
        (called('{"reasoning": "We thi', finish="length"), "truncated", None),
        (called('{"answer": 18, "reas', finish="length"), "truncated", "18"),
        (called(), "no_answer", None),
        (completion("The answer is 18."), "another_mark", "18"),
        (completion(f"<tool_call>\n{{'name': {HELD}"), "another_mark", "18"),
    ],
)  # fmt: skip
def test_what_servers_send(answer: Answer, status: str, latent: str | None) -> None:
    one, _ = asked(answer)
    assert PROMPT.read(one, Number()).status == status
    assert read_latent(one.text, Number()).answer == latent


def test_the_arguments_are_kept_as_they_were_sent() -> None:
    for arguments in ('{"reasoning":"9*2","answer":18.0}', '{\n  "answer": 18', ""):
        one, _ = asked(called(arguments))
        assert f'"arguments": {arguments}}}' in one.text


@pytest.mark.parametrize(
    "answer", [called('{"answer": "eighteen"}'), called(HELD, HELD), called(HELD, name="x"), completion("The answer is 18.")]
)
def test_a_server_that_does_not_enforce_is_found_out(answer: Answer) -> None:
    one, _ = asked(answer, SCHEMA)
    assert (one.finish_reason, one.error) == ("error", "the finished text does not keep to its grammar")


@pytest.mark.parametrize("calls", ["no list", [1, None, {}, {"function": 3}, {"function": {"name": 4}}], {"function": {}}])
def test_calls_that_are_none_are_no_reply(calls: Any) -> None:
    answer = completion("The answer is 18.")
    answer.content["choices"][0]["message"]["tool_calls"] = calls
    one, _ = asked(answer)
    assert one.text == "The answer is 18."


def test_llamacpp_in_this_process_offers_none() -> None:
    assert LlamaCpp().calls(Backbone(name="m")) == ("", "LlamaCpp offers no tools: use backend=hf, vllm or server")
