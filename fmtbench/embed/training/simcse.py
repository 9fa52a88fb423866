"""Unsupervised SimCSE (Gao et al. 2021, arXiv 2104.08821): a text's positive is the same text under another dropout mask.

Decoder-only models have only attention dropout, which is 0 in their configs. It is switched on for training, as in LLM2Vec
(BehnamGhader et al. 2024, arXiv 2404.05961).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.embed.training.stage import TrainingStage
from fmtbench.embed.training.work import Supply, Work


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class SimCSE(TrainingStage):
    """Needs only texts."""

    temperature: float = Field(default=0.05, gt=0)
    dropout: float = Field(default=0.3, gt=0, lt=1)

    def check(self, supply: Supply, name: str) -> Supply:
        self.require(supply.texts, "texts", name)
        return replace(supply, adapter=self.lora is not None)

    def chance(self, negatives: float) -> float:
        return math.log(self.batch_size)

    def run(self, work: Work) -> dict[str, Any]:
        from fmtbench.embed.training.adapters import attention_dropout
        from fmtbench.embed.training.examples import Example
        from fmtbench.embed.training.fitting import fit_encoder
        from fmtbench.embed.training.objectives import ranking_loss

        instruction = work.data.examples[0].instruction
        twice = [Example(anchor=text, positive=text, symmetric=True, instruction=instruction) for text in work.data.texts]
        with attention_dropout(work.weights, self.dropout):
            return fit_encoder(
                work, self, twice, lambda model: ranking_loss(model, self.temperature, ("query_to_doc",), None, None)
            )
