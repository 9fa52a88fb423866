"""A reply that its request has begun is gone on with, by every engine that can; the others refuse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fmtbench.backbone import Backbone
from fmtbench.backends.hf import HF
from fmtbench.backends.llamacpp import LlamaCpp
from fmtbench.backends.prefix import prefix_of
from fmtbench.backends.scripted import Scripted
from fmtbench.backends.server import Server, ServerSession
from fmtbench.backends.tokens import decode_with_ends, prompt
from fmtbench.conditions.begun import cut
from fmtbench.errors import UserError
from fmtbench.types import Message, Request

ASKED = Request(messages=(Message(role="user", content="What is 7 + 5?"),), max_tokens=24)
BEGUN = replace(ASKED, messages=(*ASKED.messages, Message(role="assistant", content="First, 7")))
QUESTIONS = ("What is the capital of France?", "Name three colours.", "Why is the sky blue?", "What is 2 + 2? Explain.")


def test_a_prefix_is_the_assistants_last_message_alone() -> None:
    assert prefix_of(BEGUN) == "First, 7"
    assert prefix_of(ASKED) == ""
    assert prefix_of(replace(BEGUN, messages=(*BEGUN.messages, Message(role="user", content="So?")))) == ""


@pytest.mark.parametrize("dialect", ["sglang", "llamacpp", "openai"])
def test_a_server_without_words_for_it_refuses(dialect: Any) -> None:
    server = Server(url="http://127.0.0.1:9/v1", dialect=dialect)
    assert f"backend.dialect={dialect}" in server.why_not_continued()
    session = ServerSession(server, {"model": "m"})
    with pytest.raises(UserError, match="no words for going on with a reply that is begun"):
        list(session.generate([ASKED, BEGUN]))


def test_vllms_server_is_told_to_go_on() -> None:
    session = ServerSession(Server(url="http://127.0.0.1:9/v1"), {"model": "m"})
    bodies = [session._body(one.messages, one, session._fields) for one in (ASKED, BEGUN)]
    told = {"add_generation_prompt": False, "continue_final_message": True}
    assert [told.items() <= body.items() for body in bodies] == [False, True]
    assert not told.keys() & bodies[0].keys(), "every other request is sent as it was"


def test_which_engines_go_on() -> None:
    assert [bool(engine.why_not_continued()) for engine in (HF(), Scripted(), LlamaCpp())] == [False, False, True]


@pytest.mark.model
def test_the_prefix_stands_behind_the_templates_prompt(tokenizer: Any) -> None:
    """Whole, as it is: no template takes its white space, and none closes the turn behind it."""
    asked = prompt(tokenizer, ASKED).ids
    for said in ("First, 7", '{"reasoning": "7 plus', " so \n\n", "한국", "x"):
        ids = prompt(tokenizer, replace(BEGUN, messages=(*ASKED.messages, Message(role="assistant", content=said)))).ids
        assert ids[: len(asked)] == asked
        assert tokenizer.decode(ids[len(asked) :]) == said


@pytest.mark.model
def test_continuations_keep_their_space(tokenizer: Any) -> None:
    """What is generated behind a prefix is read as going on from it."""
    before, after = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("First", " of all"))
    assert decode_with_ends(tokenizer, after, before) == (" of all", (3, 7))


@pytest.mark.model
def test_a_tokenizer_that_drops_the_first_space_does_not_glue_words() -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    made = Tokenizer(models.WordLevel({"\u2581First": 0, "\u2581of": 1, "\u2581all": 2, "<unk>": 3}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()

    class Fast:
        backend_tokenizer = made

    assert decode_with_ends(Fast(), [1, 2]) == ("of all", (2, 6))
    assert decode_with_ends(Fast(), [1, 2], before=[0]) == (" of all", (3, 7))


def ends_as_it_ended(session: Any, requests: list[Request]) -> tuple[int, int]:
    """Greedy replies, each continued from the beginnings of its own, ids made anew from the text: how many end alike."""
    whole = {one.key: one for one in session.generate(requests)}
    begun, wanted = [], {}
    for request in requests:
        said = whole[request.key]
        for fraction in (0.25, 0.5, 0.75):
            prefix = cut(said.text, fraction)
            used = len(session.current.tokenizer(prefix, add_special_tokens=False)["input_ids"])
            if prefix and used < request.max_tokens:
                message = Message(role="assistant", content=prefix)
                one = replace(request, messages=(*request.messages, message), max_tokens=request.max_tokens - used)
                begun.append(one)
                wanted[one.key] = said.text[len(prefix) :]
    same = sum(one.text == wanted[one.key] for one in session.generate(begun))
    return same, len(begun)


@pytest.mark.model
def test_a_greedy_reply_continued_from_its_own_prefix_ends_as_it_ended(hf_engine: Any) -> None:
    """In float32; what differs in another dtype is rounding (docs/guides/interventions.md)."""
    requests = [replace(ASKED, messages=(Message(role="user", content=question),)) for question in QUESTIONS]
    same, tried = ends_as_it_ended(hf_engine, requests)
    assert tried >= 8
    assert same == tried


@pytest.mark.model
@pytest.mark.slow
def test_a_hundred_greedy_replies_end_as_they_ended(hf_engine: Any) -> None:
    sums = [f"What is {7 * i % 90 + 10} + {11 * i % 80 + 5}? Think step by step." for i in range(35)]
    same, tried = ends_as_it_ended(hf_engine, [replace(ASKED, messages=(Message(role="user", content=one),)) for one in sums])
    assert tried >= 100
    assert same == tried


@pytest.mark.model
def test_hf_continues_under_what_may_still_follow(hf_engine: Any, backbone: Backbone) -> None:
    from fmtbench.answers import Number
    from fmtbench.conditions.begun import begun
    from fmtbench.conditions.condition import Condition
    from fmtbench.decoding.grammar import allows

    condition = Condition(asked="json", enforced="schema")
    prefix, rest = begun(condition, Number(), "Seven and five are twelve.")
    request = replace(
        ASKED, messages=(*ASKED.messages, Message(role="assistant", content=prefix)), constraint=rest, max_tokens=120
    )
    (done,) = hf_engine.generate([request])
    whole = condition.constraint(Number())
    assert whole is not None
    assert not done.error
    if done.finish_reason == "stop":
        assert allows(whole, prefix + done.text)
    else:
        assert not done.text.startswith("{"), "it goes on, and begins no object"
