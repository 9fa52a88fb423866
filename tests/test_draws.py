"""Sampling in one call: the right distribution, and nothing but the request's own seed decides it."""

from dataclasses import replace

import pytest
import torch
from scipy.stats import chisquare, kstest

from fmtbench.backends import draws
from fmtbench.backends.draws import draw, waiting_times
from fmtbench.types import Request

pytestmark = pytest.mark.model
CPU = torch.device("cpu")
ASKED = Request(messages=(), temperature=2.0)
LOGITS_V = torch.tensor([0.0, 1.0, 2.0, float("-inf")])
WORD = 2**64


def splitmix(state: int) -> int:
    """The next number of SplitMix64 as its paper has it, in whole numbers."""
    z = (state + 0x9E3779B97F4A7C15) % WORD
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % WORD
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % WORD
    return z ^ (z >> 31)


def test_the_stream_is_that_of_splitmix() -> None:
    """The first numbers from the seed 1234567 that implementations of it are checked with."""
    assert [splitmix(1234567), splitmix(1234567 + 0x9E3779B97F4A7C15)] == [6457827717110365317, 3203168211198807973]
    mixed = draws._mix(torch.tensor([1234567]) + torch.arange(1, 3) * draws.GAMMA)
    assert [int(one) % WORD for one in mixed] == [6457827717110365317, 3203168211198807973]


def test_the_noise_is_exponential_and_independent_across_seeds_steps_and_tokens() -> None:
    waits_SV = waiting_times([*range(50)] * 2, [0] * 50 + [1] * 50, 400, CPU)
    assert kstest(waits_SV.flatten().numpy(), "expon").pvalue > 0.001
    assert waits_SV.dtype == torch.float64
    corner = torch.corrcoef(waits_SV).fill_diagonal_(0)  # rows are seeds and steps, columns are tokens
    assert corner.abs().max() < 5 / 400**0.5
    assert torch.corrcoef(waits_SV.T[:100]).fill_diagonal_(0).abs().max() < 5 / 100**0.5
    assert len(waits_SV.unique()) == waits_SV.numel()


def test_draws_follow_the_softmax() -> None:
    many = [replace(ASKED, seed=seed) for seed in range(4000)]
    drawn = draw(LOGITS_V.repeat(4000, 1), many, [0] * 4000)
    counts = torch.bincount(torch.tensor(drawn), minlength=4)
    assert counts[3] == 0
    assert chisquare(counts[:3].numpy(), (4000 * torch.softmax(LOGITS_V[:3].double() / 2.0, -1)).numpy()).pvalue > 0.001


def test_rare_tokens_are_as_rare_as_they_should_be() -> None:
    """Two thousand tokens, one in twenty thousand each."""
    logits_V = torch.full((2001,), -torch.log(torch.tensor(20_000.0)).item())
    logits_V[0] = torch.log(torch.tensor(0.9))
    drawn = torch.tensor(
        draw(logits_V.repeat(4000, 1), [replace(ASKED, temperature=1.0, seed=k) for k in range(4000)], [7] * 4000)
    )
    assert 0.08 < (drawn > 0).double().mean() < 0.12


def test_the_nucleus_is_kept_row_by_row() -> None:
    rows = [replace(ASKED, temperature=1.0, top_p=top_p, seed=seed) for seed in range(100) for top_p in (0.6, 1.0)]
    drawn = draw(LOGITS_V.repeat(200, 1), rows, [0] * 200)
    assert set(drawn[::2]) == {2}
    assert set(drawn[1::2]) == {0, 1, 2}


def test_a_row_draws_the_same_whatever_shares_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    logits_SV = torch.randn((6, 300), generator=generator)
    rows, steps = [replace(ASKED, seed=seed, temperature=1 + seed / 3) for seed in range(6)], [3, 1, 4, 1, 5, 9]
    together = draw(logits_SV, rows, steps)
    assert [draw(logits_SV[k : k + 1], rows[k : k + 1], steps[k : k + 1])[0] for k in range(6)] == together
    assert draw(logits_SV.flip(0), rows[::-1], steps[::-1]) == together[::-1]
    monkeypatch.setattr(draws, "AT_ONCE", 600)  # two rows at a time
    assert draw(logits_SV, rows, steps) == together
    assert draw(logits_SV, rows, [step + 1 for step in steps]) != together


def test_a_seed_may_be_any_number() -> None:
    assert draw(LOGITS_V[None], [replace(ASKED, seed=2**64 + 5)], [0]) == draw(LOGITS_V[None], [replace(ASKED, seed=5)], [0])
