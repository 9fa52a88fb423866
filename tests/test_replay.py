"""The teacher-forced pass: the same logits as the model's own, in chunks, whatever shares the batch."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from fmtbench.probes import replay
from fmtbench.probes.fidelity import agreement, fidelity
from fmtbench.probes.replay import Reference, Reply, batches
from fmtbench.types import Generation, Message, Request
from tests.bigram import SIX, write_bigram

SEED = 0


def rows(size: int, spread: float = 1.5) -> torch.Tensor:
    return torch.randn((size, size), generator=torch.Generator().manual_seed(SEED), dtype=torch.float64) * spread


def reply(ids: list[int]) -> Reply:
    return Request(messages=(Message(role="user", content="?"),)), Generation(key="", text="", token_ids=tuple(ids))


@pytest.fixture(scope="module")
def bigram(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return Reference(write_bigram(tmp_path_factory.mktemp("bigram"), SIX, rows(6)))


def read(reference: Reference, replies: list[Reply]) -> list[torch.Tensor]:
    """The logits of each reply, its chunks put together."""
    found: list[list[torch.Tensor]] = [[] for _ in replies]
    for chunk in reference.passes(replies):
        assert chunk.start == sum(map(len, found[chunk.reply]))
        assert chunk.said_P.tolist() == list(replies[chunk.reply][1].token_ids)[chunk.start :][: len(chunk.said_P)]
        found[chunk.reply].append(chunk.logits_PV)
    return [torch.cat(some) for some in found]


def test_the_model_is_the_matrix(bigram: Reference) -> None:
    """After token i the distribution is row i; the first token follows what the template ends with."""
    said = [0, 3, 2, 5, 1, 1, 4]
    (logits_LV,) = read(bigram, [reply(said)])
    expected_LV = rows(6)[[SIX.index("<ask>"), *said[:-1]]].log_softmax(-1)
    assert float((logits_LV.double().log_softmax(-1) - expected_LV).abs().max()) < 1e-6


def test_chunks_and_batches_change_nothing(bigram: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    replies = [reply([(3 * i + j) % 6 for j in range(5 + 7 * i)]) for i in range(5)]
    whole = read(bigram, replies)
    monkeypatch.setattr(replay, "CHUNK", 4)
    for tokens in (1, 20, 10_000):
        monkeypatch.setattr(bigram, "batch_tokens", tokens)
        for one, other in zip(whole, read(bigram, replies)):
            assert torch.allclose(one, other, atol=1e-5)


def test_batches_are_of_one_length_and_within_their_tokens() -> None:
    found = list(batches([3, 9, 4, 100, 5], 20))
    assert found == [[3], [1, 4], [2, 0]]
    assert list(batches([], 20)) == []


def test_the_head_is_the_whole_of_what_the_class_does() -> None:
    """Gemma 2 caps its logits after the head: the bare head would say something else."""
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(SEED)
    config = Gemma2Config(
        vocab_size=40,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        final_logit_softcapping=0.05,
    )
    reference = object.__new__(Reference)
    reference.model = Gemma2ForCausalLM(config).eval()
    ids = [1, 7, 30, 2, 9]
    with torch.inference_mode():
        expected = reference.model(torch.tensor([ids])).logits[0]
        hidden = reference.hidden([ids, ids[:2]])
        assert torch.allclose(reference.logits(hidden[0]), expected, atol=1e-6)
        assert torch.allclose(reference.logits(hidden[1, :2]), expected[:2], atol=1e-6)
        assert not torch.allclose(reference.model.lm_head(hidden[0]), expected, atol=1e-3), "else this test could not fail"
        assert torch.allclose(reference.model(torch.tensor([ids])).logits[0], expected), "the model is as it was"


def test_logits_are_never_there_for_a_whole_reply(bigram: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a vocabulary of 152,064 a reply of 5,000 tokens would be 3 GB of them."""
    assert 152_064 * 4 * replay.CHUNK * 5 < 0.9e9, "the logits, two copies of them with their exponentials, and the masks"
    seen: list[int] = []
    logits = bigram.logits
    monkeypatch.setattr(bigram, "logits", lambda hidden: seen.append(len(hidden)) or logits(hidden))
    read(bigram, [reply([0, 1] * 1500)])
    assert max(seen) == replay.CHUNK
    assert len(seen) == math.ceil(3000 / replay.CHUNK)


def test_what_has_no_token_says_nothing(bigram: Reference) -> None:
    assert list(bigram.passes([])) == []
    assert list(bigram.passes([reply([])])) == []


def test_dtype_and_vocabulary_are_known(tmp_path: Path) -> None:
    reference: Any = Reference(write_bigram(tmp_path, SIX, rows(6)), dtype="bfloat16")
    assert (reference.dtype, reference.vocabulary) == ("bfloat16", 6)


def drawn(count: int, length: int, heat: float) -> list[Reply]:
    """Draws of the matrix itself, at a temperature."""
    p, rng, found = (rows(6) / heat).softmax(-1), torch.Generator().manual_seed(1), []
    for _ in range(count):
        ids = [SIX.index("<ask>")]
        for _ in range(length):
            ids.append(int(torch.multinomial(p[ids[-1]], 1, generator=rng)))
        request = Request(messages=(Message(role="user", content="?"),), temperature=heat)
        found.append((request, Generation(key="", text="", token_ids=tuple(ids[1:]))))
    return found


@pytest.mark.parametrize("chunk", [7, 256])
def test_fidelity_has_its_closed_form(bigram: Reference, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    """Of all that `experiments.verify` says of drawn and of greedy replies, whatever the size of a chunk."""
    monkeypatch.setattr(replay, "CHUNK", chunk)
    group, log_p = drawn(20, 30, 0.7), (rows(6) / 0.7).log_softmax(-1)
    pairs = [pair for _, one in group for pair in itertools.pairwise([SIX.index("<ask>"), *one.token_ids])]
    before = [i for i, _ in pairs]
    expected = (log_p.exp() * log_p).sum(-1)
    variance = (log_p.exp() * log_p**2).sum(-1) - expected**2
    found = fidelity(bigram, group)
    assert (found.replies, found.tokens) == (20, 600)
    assert found.logprob == pytest.approx(float(sum(log_p[i, j] for i, j in pairs)) / 600, abs=1e-6)
    assert found.expected == pytest.approx(float(expected[before].mean()), abs=1e-6)
    assert found.deviation == pytest.approx(float(variance[before].sum()) ** 0.5, rel=1e-5)
    assert abs(found.z) < 4
    gaps = [float(log_p[i].max() - log_p[i, j]) for i, j in pairs]
    ranked = agreement(bigram, group)
    assert ranked.gap == pytest.approx(max(gaps), abs=1e-5)
    assert ranked.likeliest == pytest.approx(sum(gap == 0 for gap in gaps) / 600)
