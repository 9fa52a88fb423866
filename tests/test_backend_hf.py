"""What the transformers engine does of its own: batches that shrink, and seeded sampling."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from experiments.starting.build import build
from fmtbench.backends.hf import HF, batches
from fmtbench.backends.tokens import Prompted, prompt
from tests.conftest import composed
from tests.test_backends import requests, run


@pytest.mark.model
def test_decoding_is_that_of_generate(hf_engine: Any) -> None:
    """In float32, token for token what transformers' own greedy search writes, alone and in a batch that rows leave."""
    exact = hf_engine.current
    assert exact.facts()["dtype"] == "float32"
    asked = [replace(request, max_tokens=limit) for request, limit in zip(requests() * 2, (16, 16, 16, 3, 9, 1))]
    for request, ours in zip(asked, run(exact, asked)):
        ids = torch.tensor([prompt(exact.tokenizer, request).ids])
        with torch.inference_mode():
            theirs = exact.model.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=request.max_tokens
            )
        assert tuple(theirs[0, ids.shape[1] :].tolist()) == ours.token_ids


@pytest.mark.model
def test_the_dtype_is_that_of_the_weights_unless_one_is_given() -> None:
    """A few tokens, since bfloat16 is slow on processors that lack it."""
    with HF().open(build(composed().backbone, "backbone")) as session:
        assert session.facts()["dtype"] == "bfloat16"
        (said,) = run(session, [replace(requests()[0], max_tokens=8)])
    assert "Paris" in said.text


def test_batches_bound_rows_and_tokens() -> None:
    base = requests()[0]
    prompted = [Prompted(request=replace(base, seed=i), ids=[0] * length) for i, length in enumerate([5, 90, 40, 40, 300])]
    made = batches(prompted, 3, 200)
    assert [[len(one.ids) for one in batch] for batch in made] == [[300], [90], [40, 40, 5]]
