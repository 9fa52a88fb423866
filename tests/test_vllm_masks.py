"""vLLM masks with Outlines as every other engine does: the same language, byte by byte."""

import random
from typing import Any

import pytest
import torch

from fmtbench.backends.vllm.internals import own_masks
from fmtbench.decoding.decoders import Outlines
from fmtbench.decoding.grammar import allows, regex
from fmtbench.decoding.guide import EndedGuide
from fmtbench.decoding.packed import BITS
from fmtbench.decoding.sandbox import Limits, Sandbox
from fmtbench.types import Constraint
from tests.test_decoders import SCHEMAS

pytest.importorskip("vllm")
pytestmark = [
    pytest.mark.model,
    # Of the sockets of engines that earlier tests ran apart, which vLLM leaves to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
OPEN = Constraint(kind="regex", source="[^!]{0,2}!(yes|no)?")
"""A thought that may hold anything, and a text that may end and go on."""
STEPS = 60
"""Of a walk, most of which end before."""


@pytest.fixture(scope="module")
def backend(tokenizer: Any) -> Any:
    from types import SimpleNamespace

    from vllm.v1.structured_output.backend_outlines import OutlinesBackend

    own_masks()
    config: Any = SimpleNamespace(speculative_config=None)
    return OutlinesBackend(vllm_config=config, tokenizer=tokenizer, vocab_size=len(tokenizer))


@pytest.mark.parametrize("walks", [20, pytest.param(500, marks=pytest.mark.slow)])
@pytest.mark.parametrize("schema", [*SCHEMAS, OPEN])
def test_walks(schema: Any, walks: int, backend: Any, tokenizer: Any, tmp_path: Any) -> None:
    """At each step the mask is ours, to the bit; what ends is in the language, with no character left unfinished."""
    from vllm.v1.structured_output.backend_types import StructuredOutputOptions

    decoder = Outlines(tokenizer)
    box = Sandbox(decoder, Limits(seconds=120), tmp_path)
    compiled = decoder.load(box.payload(schema))
    box.close()
    ended = 0
    for seed in range(walks):
        rng, ours, ids = random.Random(seed), decoder.matcher(compiled), list[int]()
        theirs = backend.compile_grammar(StructuredOutputOptions.REGEX, regex(schema))
        while len(ids) < STEPS and not theirs.is_terminated():
            words, said = torch.zeros(-(-len(tokenizer) // BITS), dtype=torch.int32), backend.allocate_token_bitmask(1)
            ours.fill(words)
            theirs.fill_bitmask(said, 0)
            assert torch.equal(words, said[0])
            allowed = (words[:, None] >> torch.arange(BITS, dtype=torch.int32) & 1).flatten().nonzero()[:, 0].tolist()
            ids.append(
                tokenizer.eos_token_id if tokenizer.eos_token_id in allowed and rng.random() < 0.5 else rng.choice(allowed)
            )
            assert theirs.accept_tokens("one", ids[-1:])
            ours.advance(ids[-1])
        ended += theirs.is_terminated()
        text = tokenizer.decode(ids, skip_special_tokens=True)
        assert not theirs.is_terminated() or allows(schema, text)
    assert ended > 0 or schema is SCHEMAS[0]


def test_a_guide_advances_without_a_list(backend: Any) -> None:
    from vllm.v1.structured_output.backend_types import StructuredOutputOptions

    grammar = backend.compile_grammar(StructuredOutputOptions.REGEX, "[ab]{3}")
    assert isinstance(grammar.guide, EndedGuide)
    state, (first, *_) = grammar.guide.get_state(), grammar.guide.get_tokens()
    assert grammar.guide.advance(first) is None
    assert grammar.guide.get_state() != state
