"""Unsupervised SimCSE (Gao et al. 2021, arXiv 2104.08821): a text's positive is itself under other dropout.

Decoder-only models have no dropout but that of attention, which is 0 in their configs: it is set for the time of training,
as LLM2Vec does (BehnamGhader et al. 2024, arXiv 2404.05961).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.embed.training.stage import Fit, Supply, Work


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class SimCSE(Fit):
    """Texts alone; their order in the file does not matter."""

    temperature: float = Field(default=0.05, gt=0)
    dropout: float = Field(default=0.3, gt=0, lt=1)

    def check(self, supply: Supply, name: str) -> Supply:
        self.enough(supply.texts, "texts", name)
        return replace(supply, adapter=self.lora is not None)

    def run(self, work: Work) -> dict[str, Any]:
        from fmtbench.embed.training.adapters import attention_dropout
        from fmtbench.embed.training.data import Example
        from fmtbench.embed.training.fitting import fit_encoder
        from fmtbench.embed.training.objectives import ranking_loss

        instruction = work.data.examples[0].instruction
        twice = [Example(anchor=text, positive=text, symmetric=True, instruction=instruction) for text in work.data.texts]
        with attention_dropout(work.weights, self.dropout):
            return fit_encoder(
                work, self, twice, lambda model: ranking_loss(model, self.temperature, ("query_to_doc",), None, None)
            )
