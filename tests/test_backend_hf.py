"""The transformers engine with the embedded model: the contract of a backend, for real."""

from dataclasses import replace
from typing import Any

import pytest

from fmtbench.backends.hf import HF
from fmtbench.decoding.grammar import ANYTHING, allows
from fmtbench.types import Constraint, Generation, Message, Request

pytestmark = pytest.mark.model

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


def requests(**changes: Any) -> list[Request]:
    return [Request(messages=(Message(role="user", content=question),), max_tokens=24, **changes) for question in QUESTIONS]


def run(model: Any, asked: list[Request]) -> list[Generation]:
    done = {generation.key: generation for generation in model.generate(asked)}
    return [done[request.key] for request in asked]


def test_one_generation_a_request(model: Any) -> None:
    done = list(model.generate(requests()))
    assert {generation.key for generation in done} == {request.key for request in requests()}
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


def test_a_seeded_sample_does_not_depend_on_its_batch(model: Any) -> None:
    sampled = [replace(request, temperature=1.0, seed=i) for i, request in enumerate(requests())]
    together = run(model, sampled)
    assert [one.token_ids for one in together] == [one.token_ids for one in run(model, sampled)]
    other = run(model, [replace(request, seed=(request.seed or 0) + 100) for request in sampled])
    assert [one.token_ids for one in together] != [one.token_ids for one in other]
    first = run(model, sampled[:1])[0]
    assert first.token_ids[:4] == together[0].token_ids[:4], "the noise is the same; rounding may part them later"


def test_too_long_a_prompt_is_an_error_of_its_own(model: Any) -> None:
    long = Request(messages=(Message(role="user", content="word " * 3000),), max_tokens=8)
    short = requests()[0]
    done = run(model, [long, short])
    assert (done[0].finish_reason, done[1].finish_reason) == ("error", "stop")
    assert "exceed the context of 2048" in done[0].error


def test_batches_bound_rows_and_tokens(model: Any) -> None:
    from fmtbench.backends.hf import Prompted

    group = [Prompted(request=replace(requests()[0], seed=i), ids=[0] * length) for i, length in enumerate([5, 90, 40, 40, 300])]
    batches = list(HF(batch_size=3, batch_tokens=200)._batches(group))
    assert [[len(one.ids) for one in batch] for batch in batches] == [[300], [90], [40, 40, 5]]


def test_our_decoding_is_that_of_generate(backbone: Any) -> None:
    """In float32, token for token what transformers' own greedy search writes, alone and in a batch that rows leave."""
    import torch

    exact = HF()
    exact.open(replace(backbone, dtype="float32"))
    asked = [replace(request, max_tokens=limit) for request, limit in zip(requests() * 2, (24, 24, 24, 3, 9, 1))]
    for request, ours in zip(asked, run(exact, asked)):
        ids = torch.tensor([exact._prompt_ids(request)])
        with torch.inference_mode():
            theirs = exact._model.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=request.max_tokens
            )
        assert tuple(theirs[0, ids.shape[1] :].tolist()) == ours.token_ids
    exact.close()


def test_one_batch_mixes_constraints_temperatures_and_limits(model: Any) -> None:
    base = requests()[0]
    mixed = [
        base,
        replace(base, constraint=SCHEMA),
        replace(base, max_tokens=2),
        replace(base, temperature=1.0, seed=1),
        replace(base, constraint=ANYTHING),
    ]
    free, json_text, short, sampled, sham = run(model, mixed)
    assert json_text.text.lstrip().startswith("{")
    assert not free.text.startswith("{")
    assert len(short.token_ids) == 2
    assert sampled.token_ids == run(model, [replace(base, temperature=1.0, seed=1)])[0].token_ids
    assert sham.token_ids == free.token_ids


def test_seeded_sampling_draws_from_the_softmax() -> None:
    import torch

    from fmtbench.backends.choose import sample

    logits_V = torch.tensor([0.0, 1.0, 2.0, float("-inf")])
    request = Request(messages=(), temperature=2.0)
    drawn = [sample(logits_V, request, torch.Generator().manual_seed(seed)) for seed in range(4000)]
    shares = torch.bincount(torch.tensor(drawn), minlength=4) / len(drawn)
    assert torch.allclose(shares, torch.softmax(logits_V / 2.0, -1), atol=0.03)
    nucleus = replace(request, temperature=1.0, top_p=0.6)
    assert {sample(logits_V, nucleus, torch.Generator().manual_seed(seed)) for seed in range(100)} == {2}
