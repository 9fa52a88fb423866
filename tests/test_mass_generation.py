"""Removed mass as replayed, against the mass as it was while the reply was generated."""

from __future__ import annotations

import codecs
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from fmtbench.answers import Number
from fmtbench.backends import choose
from fmtbench.backends.hf import HF, HFSession
from fmtbench.conditions.condition import Condition
from fmtbench.decoding.decoders import token_bytes
from fmtbench.decoding.grammar import ANYTHING
from fmtbench.decoding.sandbox import Limits
from fmtbench.probes.masks import Masks
from fmtbench.probes.mass import MassProbe, MassRecord
from fmtbench.probes.replay import Reference
from fmtbench.probes.replies import ProbedReply, token_parts
from fmtbench.store.folder import Planned
from fmtbench.types import Constraint, Generation, Item, Message, Request
from tests.bigram import CHARACTERS, write_bigram
from tests.decoders_here import EACH
from tests.test_lockin_command import matrix

ASKED = ("What is 3 + 4?", "Name a colour.", "Where is Paris?")
SCHEMA = Condition(asked="json", enforced="schema").constraint(Number())


class Watched(choose.Chooser):
    """Reads the mass where the mask is applied: by request, for each step the logarithm of Z and how many tokens are allowed."""

    seen: dict[str, list[tuple[float, int]]] = {}  # noqa: RUF012

    def _mask(self, rows: Any, logits_SV: torch.Tensor) -> None:
        before = logits_SV.clone()
        super()._mask(rows, logits_SV)
        left_S = (logits_SV.logsumexp(-1) - before.logsumexp(-1)).tolist()
        allowed_S = logits_SV.isfinite().sum(-1).tolist()
        for slot, row in enumerate(rows):
            self.seen.setdefault(self._requests[row].key, []).append((left_S[slot], allowed_S[slot]))


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> type[Watched]:
    Watched.seen.clear()
    monkeypatch.setattr(choose, "Chooser", Watched)
    return Watched


def requests(constraint: Constraint | None, temperature: float = 1.0, tokens: int = 48) -> list[Request]:
    return [
        Request(
            messages=(Message(role="user", content=text),),
            constraint=constraint,
            temperature=temperature,
            max_tokens=tokens,
            seed=seed if temperature else None,
        )
        for seed, text in enumerate(ASKED)
    ]


def replied(request: Request, generation: Generation) -> ProbedReply:
    return ProbedReply(
        planned=Planned(item=Item(id="x", question="?", gold="7"), sample=0, request=request),
        generation=generation,
        condition=Condition(asked="json", enforced="schema"),
        kind=Number(),
        parts=token_parts(["reasoning"] * len(generation.text), generation),
        bridges=(False,) * len(generation.token_ids),
    )


def measured(probe: MassProbe, asked: list[Request], said: dict[str, Generation]) -> dict[str, MassRecord]:
    held = list(probe.missing(replied(request, said[request.key]) for request in asked))
    return {record.request_key: record for record in probe.measure(held)}


def compare(records: dict[str, MassRecord], seen: dict[str, list[tuple[float, int]]]) -> None:
    """Z to 1e-4 and the same number of tokens, at every step of every reply."""
    for key, record in records.items():
        assert record.problem is None
        inside = seen[key][: len(record.left)]
        assert len(inside) == len(record.left) > 3
        assert [allowed for _, allowed in inside] == list(record.allowed)
        for (left, _), replayed in zip(inside, record.left):
            assert abs(math.exp(left) - math.exp(replayed)) <= 1e-4
            assert left == pytest.approx(replayed, abs=1e-3)


@pytest.mark.parametrize("decoder", EACH)
def test_the_replay_is_what_was_there_in_generation(watched: type[Watched], tmp_path: Path, decoder: Any) -> None:
    """The three replies share a batch while they are generated, padded on the left; the replay pads on the right."""
    backbone = write_bigram(tmp_path, CHARACTERS, matrix())
    options = HF(decoder=decoder, limits=Limits(seconds=60))
    session = HFSession(options, backbone)
    asked = requests(SCHEMA)
    said = {one.key: one for one in session.generate(asked)}
    session.close()
    reference = Reference(backbone)
    probe = MassProbe(reference, Masks(backbone, decoder, reference.tokenizer, reference.vocabulary, options.limits))
    compare(measured(probe, asked, said), watched.seen)


@pytest.fixture(scope="module")
def embedded(backbone: Any) -> MassProbe:
    reference = Reference(backbone)
    return MassProbe(reference, Masks(backbone, "outlines", reference.tokenizer, reference.vocabulary, Limits()))


@pytest.mark.model
def test_so_it_is_with_a_real_model(watched: type[Watched], hf_engine: Any, embedded: MassProbe) -> None:
    asked = requests(SCHEMA, tokens=32)
    said = {one.key: one for one in hf_engine.generate(asked)}
    compare(measured(embedded, asked, said), watched.seen)


@pytest.mark.model
def test_the_sham_takes_some_pieces_of_characters_and_nothing_else(hf_engine: Any, embedded: MassProbe) -> None:
    """Not zero: some tokens begin no character, and U+0000 is what a text ends with for outlines_core. Greedy text is the
    same all the same, and no choice is forbidden."""
    free, sham = requests(None, 0.0, 32), requests(ANYTHING, 0.0, 32)
    said = {one.key: one for one in hf_engine.generate([*free, *sham])}
    for one, other in zip(free, sham):
        assert said[one.key].text == said[other.key].text
    records = measured(embedded, sham, said).values()
    tokens = sum(len(record.left) for record in records)
    tax = -sum(sum(record.left) for record in records)
    assert sum(sum(record.override) for record in records) == 0
    assert tax / tokens <= 0.01
    mask = embedded.masks.after(ANYTHING, [])
    assert mask is not None
    allowed = embedded.masks.allowed([mask], torch.device("cpu"))[0]
    written = {token: text for text, ids in token_bytes(embedded.reference.tokenizer).items() for token in ids}
    forbidden = set((~allowed).nonzero().flatten().tolist())
    pieces = {token for token, text in written.items() if lost(text)}
    beyond = set(range(len(written), embedded.reference.vocabulary))
    assert forbidden == pieces | beyond
    assert len(forbidden) == 75


def lost(text: bytes) -> bool:
    """Whether these bytes begin no text, or one with U+0000."""
    try:
        return "\0" in codecs.getincrementaldecoder("utf-8")().decode(text)
    except UnicodeDecodeError:
        return True
