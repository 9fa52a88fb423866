"""BGE-M3 (Chen et al. 2024, arXiv 2402.03216): dense vectors, lexical weights and token vectors are trained together."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.embed.training.stage import TrainingStage
from fmtbench.embed.training.work import Supply, Work
from fmtbench.errors import UserError

logger = logging.getLogger(__name__)

LOOKED_AT = 256
"""How many texts' lexical vectors are checked after training."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class M3(TrainingStage):
    """Heads trained by an earlier stage are trained further; others start from random weights."""

    temperature: float = Field(default=0.02, gt=0)
    """The temperature of all scores."""
    distill_from: int | None = Field(default=0, ge=0)
    """The step from which the sum of the scores teaches each head; null leaves out self-distillation."""

    head_learning_rate: float | None = Field(default=1e-3, gt=0)
    """The heads' learning rate: they may start from random weights while the encoder is trained; null takes `learning_rate`."""

    def rates(self) -> dict[str, float]:
        return {} if self.head_learning_rate is None else {r"heads\.": self.head_learning_rate}

    def check(self, supply: Supply, name: str) -> Supply:
        self.require_sets(supply, name)
        return replace(supply, adapter=self.lora is not None)

    def run(self, work: Work) -> dict[str, Any]:
        from fmtbench.embed.m3 import fresh_heads, write_heads
        from fmtbench.embed.training.fitting import fit_encoder
        from fmtbench.embed.training.m3_loss import HeadModule, M3Loss

        self.require(len(work.data.examples), "examples", work.folder.name)
        config, heads = work.weights.config, work.loaded.heads or fresh_heads(work.weights.config.hidden_size)
        work.loaded = replace(work.loaded, heads=heads)
        module = HeadModule(heads, work.loaded.model.tokenizer, config.vocab_size)

        def loss(model: Any) -> Any:
            return M3Loss(model, self.temperature, self.distill_from)

        facts = fit_encoder(work, self, work.data.examples, loss, modules=(module,))
        facts |= _lexical(work)
        write_heads(work.folder, heads)
        return facts

    def restore(self, work: Work) -> None:
        from fmtbench.embed.m3 import FILES, read_heads

        super().restore(work)
        heads = read_heads(work.folder, list(FILES), work.weights.config.hidden_size)
        work.loaded = replace(work.loaded, heads=heads)


def _lexical(work: Work) -> dict[str, Any]:
    """The share of empty lexical vectors, and the terms per text. Raises `UserError` if all are empty."""
    from fmtbench.embed.representations import represent
    from fmtbench.embed.st import STEmbedBackend, STEmbedder

    examples = work.data.examples[:LOOKED_AT]
    embedder = STEmbedder(work.loaded, STEmbedBackend())
    role, instruction = examples[0].other_role, examples[0].instruction
    count_N = represent(embedder, [one.positive for one in examples], role, instruction).sparse_NV.count_nonzero(axis=1)
    if not count_N.any():
        raise UserError(
            f"{work.folder.name}: the lexical vectors of all {len(count_N)} texts are empty: lower learning_rate, or raise warmup"
        )
    empty, terms = float((count_N == 0).mean()), float(count_N.mean())
    logger.info("%s: %.0f terms a text, %.0f %% of the texts have none", work.folder.name, terms, 100 * empty)
    return {"terms": round(terms, 1), "empty": round(empty, 4)}
