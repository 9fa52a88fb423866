"""Does an engine say what the model says? Its replies are compared with what transformers computes from the same weights.

An engine whose kernels are wrong does not fail: it reads like a weaker model. Two measures, computed by transformers in
float32 from the journal alone, give it away.

For sampled replies (`Fidelity`): the expected log-probability of a token is the negative entropy at its position, whatever
was said before. So the sum over all tokens of the difference between the two is a martingale, and divided by the square root
of its summed variances it is close to a standard normal variable. It needs no second sample and no tolerance. An engine
that flattens, sharpens or damages the distribution is far outside.

For greedy replies (`Agreement`): each token is the most likely one, except for ties that the engine's rounding decided
otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from fmtbench.backbone import Backbone, load_tokenizer, prepare
from fmtbench.backends.tokens import prompt
from fmtbench.errors import UserError
from fmtbench.store.folder import RunFolder
from fmtbench.types import Generation, Request

Reply = tuple[Request, Generation]


# -- which replies can be judged


def drawn(request: Request) -> bool:
    """Sampled from the whole distribution: no mask, and no `top_p` that cuts it."""
    return own_words(request) and request.temperature > 0 and request.top_p == 1


def greedy(request: Request) -> bool:
    return own_words(request) and request.temperature == 0


def own_words(request: Request) -> bool:
    """Whether the model chooses every token: no mask, and no budget that ends its thought."""
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


class Reference:
    """A backbone in float32, under transformers."""

    def __init__(self, backbone: Backbone) -> None:
        from transformers import AutoModelForCausalLM

        weights = backbone.resolve()
        self.name, self.fingerprint = backbone.name, weights.fingerprint
        self.tokenizer = load_tokenizer(weights)
        self.model: Any = AutoModelForCausalLM.from_pretrained(
            prepare(weights), revision=weights.revision, dtype=torch.float32, use_safetensors=True
        ).eval()

    def log_probabilities(self, reply: Reply) -> tuple[torch.Tensor, torch.Tensor]:
        """At each position of a reply, of all tokens (L x V, float64, at the request's temperature) and of the one said (L)."""
        request, generation = reply
        said_L = torch.tensor(generation.token_ids)
        ids_L = torch.cat([torch.tensor(prompt(self.tokenizer, request).ids), said_L])
        with torch.inference_mode():
            logits_LV = self.model(ids_L[None], logits_to_keep=len(said_L) + 1).logits[0, :-1]
        log_LV = (logits_LV / (request.temperature or 1.0)).double().log_softmax(-1)
        return log_LV, log_LV.gather(1, said_L[:, None])[:, 0]


def check_weights(folder: RunFolder, reference: Reference) -> None:
    """Raises `UserError` where a cell's replies were made with other weights, or its manifest does not name them."""
    made_with = folder.manifest().get("engine", {}).get("weights", {}).get("fingerprint")
    if made_with is None:
        raise UserError(
            f"{folder.path}: its manifest names no weights, because a server kept them or no engine was open yet: "
            "give results of backend=hf or backend=vllm, and run their command again if it was interrupted"
        )
    if made_with != reference.fingerprint:
        raise UserError(f"{folder.path} was made with other weights than those of backbone={reference.name}: set backbone=")


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """Of sampled replies, in nats per token."""

    replies: int
    tokens: int
    logprob: float
    expected: float
    """The negative entropy, mean over the same positions."""
    deviation: float
    """Standard deviation of the sum over all tokens that sampling alone causes."""

    @property
    def z(self) -> float:
        """The difference, in standard deviations of sampling alone; NaN if every token was certain."""
        return (self.logprob - self.expected) * self.tokens / self.deviation if self.deviation > 0 else math.nan


def fidelity(reference: Reference, group: Sequence[Reply]) -> Fidelity:
    found = [_sums(*reference.log_probabilities(reply)) for reply in group]
    tokens = sum(len(generation.token_ids) for _, generation in group)
    logprob, expected, variance = (sum(column) for column in zip(*found))
    return Fidelity(
        replies=len(group),
        tokens=tokens,
        logprob=logprob / tokens,
        expected=expected / tokens,
        deviation=math.sqrt(max(variance, 0.0)),
    )


def _sums(log_LV: torch.Tensor, said_L: torch.Tensor) -> tuple[float, float, float]:
    """Sums over the tokens of a reply: log-probability, its expectation, and its variance."""
    weight_LV = log_LV.exp()
    expected_L = (weight_LV * log_LV).sum(-1)
    variance_L = (weight_LV * log_LV**2).sum(-1) - expected_L**2
    return float(said_L.sum()), float(expected_L.sum()), float(variance_L.sum())


def pooled(found: Sequence[Fidelity]) -> Fidelity:
    """All groups taken together."""
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
    """Of greedy replies."""

    replies: int
    tokens: int
    likeliest: float
    """Share of tokens that are the most likely ones in float32 as well."""
    gap: float
    """How far the least likely of them is below the most likely token, in nats."""


def agreement(reference: Reference, group: Sequence[Reply]) -> Agreement:
    gap_L = torch.cat([_gaps(*reference.log_probabilities(reply)) for reply in group])
    return Agreement(replies=len(group), tokens=len(gap_L), likeliest=float((gap_L == 0).double().mean()), gap=float(gap_L.max()))


def _gaps(log_LV: torch.Tensor, said_L: torch.Tensor) -> torch.Tensor:
    """How far each token is below the most likely one (L). A function of its own, so that one L x V is in memory at a time."""
    return log_LV.max(-1).values - said_L
