"""An encoder as data: backbone x template x pooling x attention x optional adapter.

    Encoder(backbone=backbone, pooling="last_token")     raw text, EOS, causal attention, the last token

`load` turns it into a stock sentence-transformers model (Transformer, Pooling, Normalize). `loading.save` writes that model as
a folder that `SentenceTransformer(folder)` and vLLM's pooling runner load unchanged, with `fmtbench.json` beside the weights.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from fmtbench.backbone import Backbone
from fmtbench.embed.description import LoadedEncoder
from fmtbench.embed.hub import hub_folder, is_hub_id
from fmtbench.embed.identity import file_hashes, sha256
from fmtbench.embed.loading import load_backbone
from fmtbench.embed.spec import MEANS, Attention, EncoderSpec, Pooling
from fmtbench.embed.templates import Template


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Encoder:
    """An encoder made from a backbone; nothing is loaded until `load`."""

    backbone: Backbone
    template: Template = Field(default_factory=Template)
    pooling: Pooling = "last_token"
    attention: Attention = "causal"
    append_eos: bool = True
    """The tokenizer's post-processor appends it, so truncation keeps it."""
    include_prompt: bool = True
    """False pools from the start of the text only; the model still attends to the template's words before it."""
    adapter: str | tuple[str, ...] | None = None
    """A PEFT adapter, or several: folders, or `ORG/NAME@COMMIT` of the hub. They are merged into the weights, in this order."""
    max_tokens: int | None = Field(default=None, gt=1)
    """Longer texts are cut; null takes the backbone's context."""
    layers: int | None = Field(default=None, gt=0)
    """How many of the first layers to use, followed by the final norm; null takes all. A saved folder has only these."""
    skip_first: bool = False
    """Leave the first token out of a mean. `fmtbench.json` says it; sentence-transformers by itself would pool that token too."""

    @model_validator(mode="after")
    def _skips_in_a_mean(self) -> Encoder:
        if self.skip_first and self.pooling not in MEANS:
            raise ValueError(f"skip_first=true is for pooling={' or '.join(MEANS)}, got pooling={self.pooling}: leave it out")
        return self

    def spec(self) -> EncoderSpec:
        return EncoderSpec(
            template=self.template,
            pooling=self.pooling,
            attention=self.attention,
            append_eos=self.append_eos,
            include_prompt=self.include_prompt,
            max_tokens=self.max_tokens or self.backbone.context,
            layers=self.layers,
            skip_first=self.skip_first,
        )

    def identity(self) -> str:
        """sha256 of everything that determines the vectors."""
        hashes = [file_hashes(one) for one in self.adapters()]
        adapter = None if not hashes else hashes[0] if isinstance(self.adapter, str) else hashes
        weights = self.backbone.resolve().fingerprint
        return sha256([weights, self.backbone.dtype, self.spec().said(), adapter])

    def adapters(self) -> list[Path]:
        """The adapters' folders, in the order in which they are merged."""
        named = (self.adapter,) if isinstance(self.adapter, str) else self.adapter or ()
        return [hub_folder(one) if is_hub_id(one) else Path(one).expanduser() for one in named]

    def published(self) -> None:
        """None: it is made here."""

    def load(self) -> LoadedEncoder:
        """Load the weights. Raises `UserError` if there are none, or if the adapter does not fit them."""
        return load_backbone(self.backbone, self.spec(), self.adapters())
