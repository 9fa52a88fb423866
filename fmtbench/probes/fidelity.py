"""Does an engine say what the model says? Its replies are compared with what transformers computes from the same weights.

An engine with wrong kernels does not fail: it looks like a weaker model. Two measures, computed by transformers in
float32 from the journal alone, give it away.

For sampled replies (`Fidelity`): the expected log-probability of a token is the negative entropy at its position, whatever
was said before. So the sum over all tokens of the difference between the two is a martingale, and divided by the square root
of its summed variances it is close to a standard normal variable. This needs no second sample and no tolerance. An engine
that flattens, sharpens or damages the distribution is far outside.

For greedy replies (`Agreement`): each token is the most likely one, except for ties that the engine's rounding decided
otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from fmtbench.probes.replay import Chunk, Reference, Reply
from fmtbench.store.folder import RunFolder
from fmtbench.types import Request

# -- which replies can be judged


def drawn(request: Request) -> bool:
    """Whether replies are sampled from the whole distribution: no mask, and no `top_p` that cuts it."""
    return own_words(request) and request.temperature > 0 and request.top_p == 1


def greedy(request: Request) -> bool:
    return own_words(request) and request.temperature == 0


def own_words(request: Request) -> bool:
    """Whether the model chooses every token: no mask, and no budget that ends its thinking."""
    return request.constraint is None and (request.thinking is None or request.thinking.tokens is None)


def replies(folder: RunFolder, which: Callable[[Request], bool], most: int) -> list[Reply]:
    """The replies of a cell's first items.

    In the order of the requests: the journal's order is that of finishing, and short replies finish first.
    """
    asked = [one.request for one in folder.requests() if which(one.request) and not one.after][:most]
    keys = {request.key for request in asked}
    said = {one.key: one for one in folder.generations() if one.key in keys and one.token_ids and one.finish_reason != "error"}
    return [(request, said[request.key]) for request in asked if request.key in said]


# -- how


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """For sampled replies, in nats per token."""

    replies: int
    tokens: int
    logprob: float
    expected: float
    """The negative entropy, mean over the same positions."""
    deviation: float
    """The standard deviation of the sum over all tokens that is due to sampling alone."""

    @property
    def z(self) -> float:
        """The difference, in standard deviations of sampling alone; NaN if every token was certain."""
        return (self.logprob - self.expected) * self.tokens / self.deviation if self.deviation > 0 else math.nan


def fidelity(reference: Reference, group: Sequence[Reply]) -> Fidelity:
    found = [_sums(*_log_probabilities(chunk, group)) for chunk in reference.passes(group)]
    tokens = sum(len(generation.token_ids) for _, generation in group)
    logprob, expected, variance = (sum(column) for column in zip(*found))
    return Fidelity(
        replies=len(group),
        tokens=tokens,
        logprob=logprob / tokens,
        expected=expected / tokens,
        deviation=math.sqrt(max(variance, 0.0)),
    )


def _log_probabilities(chunk: Chunk, group: Sequence[Reply]) -> tuple[torch.Tensor, torch.Tensor]:
    """At each position, of all tokens (P x V, float64, at the request's temperature) and of the one said (P)."""
    request, _ = group[chunk.reply]
    log_PV = (chunk.logits_PV / (request.temperature or 1.0)).double().log_softmax(-1)
    return log_PV, log_PV.gather(1, chunk.said_P[:, None])[:, 0]


def _sums(log_PV: torch.Tensor, said_P: torch.Tensor) -> tuple[float, float, float]:
    """Sums over the tokens of a chunk: log-probability, its expectation, and its variance."""
    weight_PV = log_PV.exp()
    expected_P = (weight_PV * log_PV).sum(-1)
    variance_P = (weight_PV * log_PV**2).sum(-1) - expected_P**2
    return float(said_P.sum()), float(expected_P.sum()), float(variance_P.sum())


def pooled(found: Sequence[Fidelity]) -> Fidelity:
    """All groups as one."""
    tokens = sum(one.tokens for one in found)
    return Fidelity(
        replies=sum(one.replies for one in found),
        tokens=tokens,
        logprob=sum(one.logprob * one.tokens for one in found) / tokens,
        expected=sum(one.expected * one.tokens for one in found) / tokens,
        deviation=math.hypot(*(one.deviation for one in found)),
    )


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """For greedy replies."""

    replies: int
    tokens: int
    likeliest: float
    """Share of tokens that are the most likely ones in float32 as well."""
    gap: float
    """How far the least likely token is below the most likely one at its position, in nats."""


def agreement(reference: Reference, group: Sequence[Reply]) -> Agreement:
    gap_L = torch.cat([_gaps(*_log_probabilities(chunk, group)) for chunk in reference.passes(group)])
    return Agreement(replies=len(group), tokens=len(gap_L), likeliest=float((gap_L == 0).double().mean()), gap=float(gap_L.max()))


def _gaps(log_PV: torch.Tensor, said_P: torch.Tensor) -> torch.Tensor:
    """How far each token is below the most likely one (P). A separate function, so that one P x V is in memory at a time."""
    return log_PV.max(-1).values - said_P
