"""The bank of masks: what it forbids is what the automata say, and what crosses to the device is a number a row."""

import random
from collections.abc import Hashable
from typing import Any

import pytest
import torch

from fmtbench.backends import mask_bank
from fmtbench.backends.choose import Chooser
from fmtbench.backends.mask_bank import MaskBank
from fmtbench.decoding.decoders import Matcher
from fmtbench.decoding.packed import BITS, bit
from fmtbench.types import Request

pytestmark = pytest.mark.model
CPU = torch.device("cpu")
SIZE = 1000


def allowed(state: int) -> torch.Tensor:
    return torch.rand(SIZE, generator=torch.Generator().manual_seed(state)) < 0.3


class Numbered(Matcher):
    """Allows a third of the vocabulary in each of its states; a name is given or not."""

    def __init__(self, state: int, named: bool) -> None:
        self.state, self.named, self.filled = state, named, 0

    def mask(self) -> Hashable | None:
        return ("grammar", self.state) if self.named else None

    def fill(self, words: Any) -> None:
        self.filled += 1
        for token in allowed(self.state).nonzero()[:, 0].tolist():
            words[token // BITS] |= bit(token)

    def advance(self, token: int) -> None:
        self.state = (self.state * 31 + token) % 40


@pytest.mark.parametrize("lines", [0, 20, 1000])  # two a row, some are overwritten, none is
@pytest.mark.parametrize("named", [True, False])
def test_it_forbids_what_the_automata_forbid(named: bool, lines: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_bank, "BYTES", lines * SIZE)
    bank, rng = MaskBank(SIZE, CPU, rows=6), random.Random(lines)
    for _ in range(60):
        matchers = [Numbered(rng.randrange(40), named) for _ in range(rng.randint(1, 6))]
        expected = torch.stack([~allowed(matcher.state) for matcher in matchers])
        assert torch.equal(bank.forbidden(matchers), expected)


def test_a_step_over_known_masks_sends_a_number_a_row() -> None:
    bank, matchers = MaskBank(SIZE, CPU, rows=8), [Numbered(state, True) for state in range(4)] * 2
    bank.forbidden(matchers)
    packed = 4 * 4 * -(-SIZE // BITS)  # bytes of the four different masks
    assert bank.bytes_sent == packed + 8 * (4 + 8)
    before, filled = bank.bytes_sent, sum(matcher.filled for matcher in matchers)
    bank.forbidden(matchers)
    assert bank.bytes_sent - before == 8 * 8
    assert sum(matcher.filled for matcher in matchers) == filled


def test_rows_without_a_constraint_keep_their_logits() -> None:
    logits_SV = torch.randn((3, SIZE), generator=torch.Generator().manual_seed(1))
    masked = logits_SV.clone()
    tokens = Chooser([Request(messages=())] * 3, [Numbered(1, True), None, Numbered(2, False)])([0, 1, 2], masked)
    assert torch.equal(masked[1], logits_SV[1])
    for slot, state in ((0, 1), (2, 2)):
        assert torch.equal(masked[slot].isfinite(), allowed(state))
    assert tokens == masked.argmax(-1).tolist()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_chooses_what_the_processor_chooses() -> None:
    logits_SV = torch.randn((6, SIZE), generator=torch.Generator().manual_seed(2))
    asked = [Request(messages=(), temperature=temperature, seed=seed) for seed, temperature in enumerate((0.0, 1.0) * 3)]
    chosen = [
        [Chooser(asked, [Numbered(k, bool(k % 2)) for k in range(6)])(range(6), logits_SV.to(device)) for _ in range(2)]
        for device in ("cpu", "cuda")
    ]
    assert chosen[0] == chosen[1]
