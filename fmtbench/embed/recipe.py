"""A recipe: how the hidden states of a model become vectors. Words only: nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from fmtbench.embed.templates import Template

Pooling = Literal["last_token", "mean", "weighted_mean", "first"]
Attention = Literal["causal", "bidirectional"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that `fmtbench.json` says beside the backbone."""

    template: Template = field(default_factory=Template)
    pooling: Pooling = "last_token"
    attention: Attention | None = "causal"
    """None leaves it to the model, as for BERT's family."""
    append_eos: bool = True
    include_prompt: bool = True
    max_tokens: int = 512
    dimensions: int | None = None
    """Only the first so many, at unit length again; None takes all."""
