"""How the hidden states of a model become vectors. Plain data: nothing here imports torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from fmtbench.embed.templates import Template

Pooling = Literal["last_token", "mean", "weighted_mean", "first"]
Attention = Literal["causal", "bidirectional"]
MEANS: tuple[Pooling, ...] = ("mean", "weighted_mean")


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
    projections: int = 0
    """The number of the folder's Dense modules between pooling and normalising."""
    layers: int | None = None
    """How many of the backbone's first layers to use, followed by its final norm; None uses all."""
    skip_first: bool = False
    """Leave the first token out of a mean."""

    def said(self) -> dict[str, Any]:
        """The spec for `fmtbench.json`, manifests and hashes. Fields added after the first version are included only if set."""
        found = asdict(self)
        found["template"] = {name: value for name, value in found["template"].items() if value or name != "by_task"}
        return {name: value for name, value in found.items() if value or name not in YOUNGER}


YOUNGER = ("projections", "layers", "skip_first")
"""Left out at their defaults, so that hashes stay those under which users' folders were made."""
