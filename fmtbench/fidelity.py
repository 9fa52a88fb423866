"""Did the engine sample from the model? Replies of any engine, held against what transformers makes of the same weights.

An engine whose kernels are wrong fails nowhere: it reads like a weaker model. But where tokens were sampled from a model, the
log-probability of each is, on average, the negative entropy of its position, whatever was said before. So the sum over all
tokens of the difference of the two is a martingale, and divided by the root of its summed variances it is near a standard
normal variable. Computed by transformers in float32 from the journal alone, it needs no second sample and no tolerance. An
engine that flattens, sharpens or damages the distribution is far outside.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fmtbench.backbone import Backbone, load_tokenizer, prepare
from fmtbench.backends.tokens import prompt
from fmtbench.errors import UserError
from fmtbench.store import RunFolder
from fmtbench.types import Generation, Request

Sampled = tuple[Request, Generation]


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """Of some replies, in nats a token."""

    replies: int
    tokens: int
    logprob: float
    expected: float
    """The negative entropy, mean over the same positions."""
    deviation: float
    """Standard deviation that sampling alone gives to the sum over all tokens."""

    @property
    def z(self) -> float:
        """The difference, in standard deviations of what sampling alone would give; NaN of texts that were certain."""
        return (self.logprob - self.expected) * self.tokens / self.deviation if self.deviation > 0 else math.nan


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


def sampled(folder: RunFolder, most: int) -> list[Sampled]:
    """Replies of a cell's first items that were drawn from the whole distribution: no mask, no greedy decoding, `top_p` 1.

    The order is that of the requests: the journal's is that of finishing, and the first to finish are short ones.
    """
    asked = [one.request for one in folder.requests() if drawn(one.request) and not one.after][:most]
    keys = {request.key for request in asked}
    said = {one.key: one for one in folder.generations() if one.key in keys and one.token_ids and one.finish_reason != "error"}
    return [(request, said[request.key]) for request in asked if request.key in said]


def drawn(request: Request) -> bool:
    return request.constraint is None and request.temperature > 0 and request.top_p == 1


def fidelity(backbone: Backbone, groups: Iterable[Sequence[Sampled]]) -> Iterator[Fidelity]:
    """One figure for each group of replies. Raises `UserError` where a reply was made with other weights."""
    import torch
    from transformers import AutoModelForCausalLM

    weights = backbone.resolve()
    tokenizer = load_tokenizer(weights)
    model = AutoModelForCausalLM.from_pretrained(prepare(weights), revision=weights.revision, dtype=torch.float32).eval()
    for group in groups:
        for request, _ in group:
            if weights.fingerprint not in request.engine:
                raise UserError(f"these replies were made with other weights than those of backbone={backbone.name}")
        found = [_sums(model, prompt(tokenizer, request).ids, request, generation) for request, generation in group]
        tokens = sum(len(generation.token_ids) for _, generation in group)
        logprob, expected, variance = (sum(column) for column in zip(*found))
        yield Fidelity(
            replies=len(group),
            tokens=tokens,
            logprob=logprob / tokens,
            expected=expected / tokens,
            deviation=math.sqrt(max(variance, 0.0)),
        )


def _sums(model: Any, prompt_ids: list[int], request: Request, generation: Generation) -> tuple[float, float, float]:
    """Over the tokens of a reply: log-probability, its expectation, and its variance, at the temperature of the request."""
    import torch

    ids = torch.tensor([*prompt_ids, *generation.token_ids])
    with torch.inference_mode():
        logits_LV = model(ids[None], logits_to_keep=len(generation.token_ids) + 1).logits[0, :-1]
    log_LV = (logits_LV / request.temperature).log_softmax(-1).double()
    weight_LV = log_LV.exp()
    expected_L = (weight_LV * log_LV).sum(-1)
    variance_L = (weight_LV * log_LV**2).sum(-1) - expected_L**2
    logprob_L = log_LV.gather(1, ids[len(prompt_ids) :, None])[:, 0]
    return float(logprob_L.sum()), float(expected_L.sum()), float(variance_L.sum())
