"""Sampling for all rows in one call, with noise that is a function of a request's seed, the step and the token.

Nothing is drawn from a stream that rows share, so that a reply does not depend on what else is in its batch, nor on where in it
the row stands. S rows, V size of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import TopPLogitsWarper

from fmtbench.types import Request

GAMMA, FIRST, SECOND = -0x61C8864680B583EB, -0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15
"""Of SplitMix64, as signed numbers: 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9 and 0x94D049BB133111EB."""
AT_ONCE = 2**24
"""The most noise values in memory at a time."""


def draw(logits_SV: torch.Tensor, requests: Sequence[Request], steps: Sequence[int]) -> list[int]:
    """A token for each row from softmax(logits / temperature) within the nucleus.

    Uses the Gumbel-max trick: minus the logarithm of an exponential waiting time is Gumbel noise.
    """
    scaled_SV = logits_SV / torch.tensor([[request.temperature] for request in requests], device=logits_SV.device)
    for top_p in {request.top_p for request in requests} - {1.0}:
        rows = [row for row, request in enumerate(requests) if request.top_p == top_p]
        scaled_SV[rows] = TopPLogitsWarper(top_p)(None, scaled_SV[rows])
    together = max(1, AT_ONCE // logits_SV.shape[-1])
    tokens: list[int] = []
    for start in range(0, len(requests), together):
        end = start + together
        seeds = [(request.seed or 0) % 2**63 for request in requests[start:end]]
        waits = waiting_times(seeds, steps[start:end], logits_SV.shape[-1], logits_SV.device)
        tokens += (scaled_SV[start:end] - waits.log()).argmax(-1).tolist()
    return tokens


def waiting_times(seeds: Sequence[int], steps: Sequence[int], size: int, device: torch.device) -> torch.Tensor:
    """S x V exponential waiting times of mean 1, float64: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) started from seed
    and step, its stream counted by the token."""
    start_S1 = _mix(_mix(torch.tensor(seeds, device=device) * GAMMA) + torch.tensor(steps, device=device) * GAMMA)[:, None]
    bits_SV = _mix(start_S1 + torch.arange(1, size + 1, device=device) * GAMMA)
    return -((_shifted(bits_SV, 11).double() + 0.5) * 2.0**-53).log()


def _mix(z: torch.Tensor) -> torch.Tensor:
    """The finaliser of SplitMix64; products wrap around, as its own do."""
    z = (z ^ _shifted(z, 30)) * FIRST
    z = (z ^ _shifted(z, 27)) * SECOND
    return z ^ _shifted(z, 31)


def _shifted(z: torch.Tensor, by: int) -> torch.Tensor:
    """A shift to the right that fills with zeros: torch's own repeats the sign."""
    return (z >> by) & ((1 << (64 - by)) - 1)
