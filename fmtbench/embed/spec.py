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
    """Dense modules between pooling and normalising, which the folder brings."""
    layers: int | None = None
    """Of the backbone, the first so many and its final norm; None where all of them are used."""
    skip_first: bool = False
    """Leave the first token out of a mean."""

    def said(self) -> dict[str, Any]:
        """For `fmtbench.json`, manifests and hashes. What is younger than the first version is there only where it is set."""
        found = asdict(self)
        found["template"] = {name: value for name, value in found["template"].items() if value or name != "by_task"}
        return {name: value for name, value in found.items() if value or name not in YOUNGER}


YOUNGER = ("projections", "layers", "skip_first")
"""With these at their default, hashes are those that users' folders were made under."""
