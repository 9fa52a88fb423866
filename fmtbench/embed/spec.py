"""How the hidden states of a model become vectors. Plain data: nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from fmtbench.embed.templates import Template

Pooling = Literal["last_token", "mean", "weighted_mean", "first"]
Attention = Literal["causal", "bidirectional"]


@dataclass(frozen=True, kw_only=True)
class EncoderSpec:
    """Everything in `fmtbench.json` apart from the backbone."""

    template: Template = field(default_factory=Template)
    pooling: Pooling = "last_token"
    attention: Attention | None = "causal"
    """None leaves it to the model, as for BERT's family."""
    append_eos: bool = True
    include_prompt: bool = True
    max_tokens: int = 512
    dimensions: int | None = None
    """Keep only this many dimensions, rescaled to unit length; None keeps all."""
