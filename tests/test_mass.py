"""Removed mass against what it must be: on a model whose every probability is known, all figures have a closed form."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from fmtbench.answers import Text
from fmtbench.backbone import Backbone
from fmtbench.conditions.condition import Condition
from fmtbench.decoding.sandbox import Limits
from fmtbench.probes import replay
from fmtbench.probes.masks import Masks
from fmtbench.probes.mass import MassProbe, MassRecord
from fmtbench.probes.replay import Reference
from fmtbench.probes.replies import ProbedReply, token_parts
from fmtbench.store.folder import Planned
from fmtbench.types import Constraint, Generation, Item, Message, Request
from tests.bigram import ASK, END, SIX, tokenizer_of, write_bigram
from tests.decoders_here import EACH, HERE

PATTERN = "(0[01]{3}|1{4})"
LANGUAGE = [text for text in map("".join, itertools.product("01", repeat=4)) if text[0] == "0" or text == "1111"]
HEAT = 0.7


def matrix() -> torch.Tensor:
    return torch.randn((6, 6), generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 1.5


@pytest.fixture(scope="module")
def backbone_of_six(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return write_bigram(tmp_path_factory.mktemp("six"), SIX, matrix())


@pytest.fixture(scope="module")
def reference(backbone_of_six: Backbone) -> Reference:
    return Reference(backbone_of_six)


def probe_of(backbone: Backbone, reference: Reference, decoder: Any) -> MassProbe:
    masks = Masks(backbone, decoder, reference.tokenizer, reference.vocabulary, Limits(seconds=60))
    return MassProbe(reference, masks)


@pytest.fixture(scope="module", params=EACH)
def probe(request: pytest.FixtureRequest, backbone_of_six: Backbone, reference: Reference) -> MassProbe:
    return probe_of(backbone_of_six, reference, request.param)


def said(word: str, pattern: str | None = PATTERN, *, ended: bool = True, **given: Any) -> ProbedReply:
    """A reply of the six tokens."""
    ids = [SIX.index(character) for character in word] + [SIX.index(END)] * ended
    ends = [*range(1, len(word) + 1), *([len(word)] * ended)]
    constraint = Constraint(kind="regex", source=pattern) if pattern else None
    request = Request(messages=(Message(role="user", content="?"),), constraint=constraint, temperature=HEAT)
    generation = Generation(
        **{
            "key": request.key,
            "text": word,
            "token_ids": tuple(ids),
            "token_ends": tuple(ends),
            "finish_reason": "stop" if ended else "length",
            "prompt_tokens": 1,
            **given,
        }
    )
    return ProbedReply(
        planned=Planned(item=Item(id="x", question="?", gold="0"), sample=0, request=request),
        generation=generation,
        condition=Condition(asked="text", enforced="sham"),
        kind=Text(),
        parts=token_parts(["reasoning"] * len(word), generation),
        bridges=(False,) * len(ids),
    )


def one_by_one(probe: MassProbe, texts: list[str], **given: Any) -> Iterator[tuple[str, MassRecord]]:
    """Replies to the same request share a key, so each is measured for itself."""
    for text in texts:
        (record,) = probe.measure(list(probe.missing([said(text, **given)])))
        yield text, record


def test_every_figure_has_its_closed_form(probe: MassProbe) -> None:
    log_p, heated = matrix().log_softmax(-1), (matrix() / HEAT).log_softmax(-1)
    for text, record in one_by_one(probe, LANGUAGE):
        assert record.problem is None
        before = [SIX.index(ASK), *(SIX.index(character) for character in text)]
        taken = [*before[1:], SIX.index(END)]
        for place, (last, token) in enumerate(zip(before, taken)):
            following = {word[place] for word in LANGUAGE if word.startswith(text[:place]) and len(word) > place}
            allowed = [SIX.index(one) for one in following] or [SIX.index(END)]
            z, z_own = (float(p[last, allowed].exp().sum()) for p in (log_p, heated))
            assert record.left[place] == pytest.approx(math.log(z), abs=1e-6)
            assert record.left_own[place] == pytest.approx(math.log(z_own), abs=1e-6)
            assert record.logprob[place] == pytest.approx(float(log_p[last, token]), abs=1e-6)
            top = int(log_p[last].argmax())
            assert (record.top[place], record.override[place]) == (top, int(top not in allowed))
            assert record.allowed[place] == len(allowed)
            assert record.breaks[place] == 0.0, "none of the six is a line break"


def test_weights_turn_draws_under_the_mask_into_draws_given_the_grammar(probe: MassProbe) -> None:
    """By enumeration: what a reply is drawn with under the mask, times its weight, is what the model alone would give it."""
    log_p = matrix().log_softmax(-1)
    right = truth = masked = weighted = total = 0.0
    for text, record in one_by_one(probe, LANGUAGE):
        ids = [SIX.index(one) for one in (ASK, *text, END)]
        p = math.exp(sum(float(log_p[i, j]) for i, j in itertools.pairwise(ids)))
        q = math.exp(sum(record.logprob) - sum(record.left))
        weight = math.exp(sum(record.left))
        correct = text.endswith("1")
        truth, right = truth + p, right + p * correct
        masked += q * correct
        weighted, total = weighted + q * weight * correct, total + q * weight
    assert weighted / total == pytest.approx(right / truth, abs=1e-6)
    assert abs(masked - right / truth) > 0.05, "masking alone is not: else this test could not fail"


def test_a_mask_that_lures_into_a_dead_end_is_undone(tmp_path: Path) -> None:
    """P(b|a) = P(b|b) = 0.02: masking alone writes `abbb` half of the time, which the model hardly ever would."""
    p = torch.full((6, 6), 0.1, dtype=torch.float64)
    p[:, SIX.index(ASK)] = 1e-9
    p[SIX.index(ASK), :] = torch.tensor([0.4, 1e-9, 0.4, 1e-9, 0.2, 1e-9])
    for letter in "ab":
        p[SIX.index(letter)] = torch.tensor([0.4, 0.02, 0.18, 0.2, 0.2, 1e-9])
    for digit in "01":
        p[SIX.index(digit)] = torch.tensor([0.02, 0.02, 0.4, 0.4, 0.16, 1e-9])
    backbone = write_bigram(tmp_path, SIX, p.log())
    probe = probe_of(backbone, Reference(backbone), "outlines")
    texts = ["abbb", *("0" + "".join(rest) for rest in itertools.product("01", repeat=3))]
    q, w = {}, {}
    for text, record in one_by_one(probe, texts, pattern="(ab{3}|0[01]{3})"):
        q[text], w[text] = math.exp(sum(record.logprob) - sum(record.left)), math.exp(sum(record.left))
    assert sum(q.values()) == pytest.approx(1, abs=1e-5)
    assert q["abbb"] == pytest.approx(0.5, abs=1e-5)
    share = q["abbb"] * w["abbb"] / sum(q[text] * w[text] for text in texts)
    chain = {text: math.prod(float(p[SIX.index(i), SIX.index(j)]) for i, j in itertools.pairwise(text)) for text in texts}
    ended = {text: chain[text] * float(p[SIX.index(text[-1]), SIX.index(END)]) for text in texts}
    assert share == pytest.approx(ended["abbb"] / sum(ended.values()), rel=1e-4)
    assert share < 0.001


def test_a_cut_reply_has_figures_up_to_its_cut(probe: MassProbe) -> None:
    ((_, whole),) = one_by_one(probe, ["0110"])
    ((_, cut),) = one_by_one(probe, ["01"], ended=False)
    assert cut.left == pytest.approx(whole.left[:2], abs=1e-6)
    assert len(cut.top) == 2


@pytest.mark.parametrize(
    ("text", "given", "problem"),
    [
        ("0110", {"token_ids": ()}, "no_token_ids"),
        ("0110", {"token_ends": ()}, "no_token_ids"),
        ("0110", {"text": "0111"}, "not_reproduced"),
        ("0110", {"prompt_tokens": 9}, "not_reproduced"),
        ("0110", {"token_ids": (2, 3, 3, 2, 600)}, "not_reproduced"),
        ("10", {"finish_reason": "length"}, "left_grammar"),
        ("0110", {"finish_reason": "error"}, "engine_error"),
        ("0" * 5000, {"finish_reason": "length"}, "too_long"),
    ],
)
def test_bad_input_has_a_type_and_no_figures(
    backbone_of_six: Backbone, reference: Reference, text: str, given: dict[str, Any], problem: str
) -> None:
    probe = probe_of(backbone_of_six, reference, "outlines")
    (record,) = probe.measure(list(probe.missing([said(text, ended="finish_reason" not in given, **given)])))
    assert (record.problem, record.left) == (problem, ())


def test_a_grammar_that_the_decoder_cannot_compile_is_barred(backbone_of_six: Backbone, reference: Reference) -> None:
    probe = probe_of(backbone_of_six, reference, "outlines")
    (record,) = probe.measure(list(probe.missing([said("0110", pattern="(?=0)0110")])))
    assert record.problem == "barred"


def test_keys_are_of_the_weights_their_dtype_and_the_masks(
    backbone_of_six: Backbone, reference: Reference, tmp_path: Path
) -> None:
    other = write_bigram(tmp_path, SIX, matrix() + torch.eye(6))
    probes = [
        probe_of(backbone_of_six, reference, "outlines"),
        probe_of(backbone_of_six, reference, HERE[-1]),
        probe_of(backbone_of_six, Reference(backbone_of_six, dtype="bfloat16"), "outlines"),
        probe_of(other, Reference(other), "outlines"),
    ]
    keys = [next(probe.missing([said("0110")])).key for probe in probes]
    assert len(set(keys)) == (4 if len(HERE) > 1 else 3)
    assert list(probes[0].missing([said("0110")], done={keys[0]})) == []
    assert len(list(probes[2].missing([said("0110")], done={keys[0]}))) == 1


def test_the_peak_of_memory_is_bounded_whatever_the_length(tmp_path: Path) -> None:
    """Counted by torch's own profiler: with a vocabulary of 152,064 the same share of a chunk would be below 0.9 GB."""
    from transformers import LlamaConfig, LlamaForCausalLM

    size = 20_000
    tokenizer_of(SIX, ASK).save_pretrained(tmp_path)
    config = LlamaConfig(vocab_size=size, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    backbone = Backbone(name="wide", path=str(tmp_path), context=4096, dtype="float32")
    probe = probe_of(backbone, Reference(backbone), "outlines")
    peaks = [peak_of(probe, said("0" * length, pattern="[01]*")) for length in (300, 2000)]
    chunk = replay.CHUNK * size * 4
    assert peaks[1] < 0.9e9 / (replay.CHUNK * 152_064 * 4) * chunk
    assert peaks[1] < 1.2 * peaks[0]
    assert peaks[0] > chunk, "else nothing was counted"


def peak_of(probe: MassProbe, reply: ProbedReply) -> int:
    """Bytes that the pass holds at most."""
    held = list(probe.missing([reply]))
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        (record,) = probe.measure(held)
    assert len(record.left) == len(reply.generation.token_ids)
    now = peak = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            peak = max(peak, now)
    return peak
