"""Merge the adapter into the weights, so that the next stage starts a fresh one (LLM2Vec, arXiv 2404.05961)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from fmtbench.embed.training.stage import Stage
from fmtbench.embed.training.work import Supply, Work
from fmtbench.errors import UserError


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Merge(Stage):
    """A stage without settings. A recipe need not end with it, since the saved encoder is always merged."""

    def check(self, supply: Supply, name: str) -> Supply:
        if not supply.adapter:
            raise UserError(f"{name}: there is no adapter to merge: put it after a stage with lora")
        return replace(supply, adapter=False)

    def run(self, work: Work) -> dict[str, Any]:
        from fmtbench.embed.training.adapters import merge

        merge(work)
        return {}

    def restore(self, work: Work) -> None:
        self.run(work)
