"""Distillation: fit the encoder's similarities to a teacher's scores of each example's documents (E5, arXiv 2212.03533)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.embed.training.examples import read_examples, write_examples
from fmtbench.embed.training.mine import EXAMPLES
from fmtbench.embed.training.stage import TrainingStage
from fmtbench.embed.training.work import Supply, Work
from fmtbench.errors import UserError


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Distill(TrainingStage):
    """The teacher is `teacher`, or else the cross_encoder stage before this one, or else the `scores` in the data."""

    teacher: str | None = None
    """A folder that sentence-transformers' CrossEncoder can load."""
    temperature: float = Field(default=0.02, gt=0)
    """The temperature of the encoder's cosines."""
    teacher_temperature: float = Field(default=1.0, gt=0)
    contrastive: float = Field(default=0.2, ge=0)
    """Weight of an additional InfoNCE loss."""

    def check(self, supply: Supply, name: str) -> Supply:
        if not supply.negatives:
            raise UserError(
                f"{name}: examples without negatives have nothing to distil: give negatives, or put a mine stage before it"
            )
        if not (self.teacher or supply.teacher or supply.scores):
            raise UserError(
                f"{name}: no teacher: set teacher=FOLDER, put a cross_encoder stage before it, or give scores in the data"
            )
        if self.teacher and not (Path(self.teacher) / "config.json").is_file():
            raise UserError(f"{name}: teacher={self.teacher} holds no config.json: give the folder of a cross-encoder")
        self.require_sets(supply, name)
        return replace(supply, adapter=self.lora is not None)

    def run(self, work: Work) -> dict[str, Any]:
        from fmtbench.embed.training.fitting import fit_encoder
        from fmtbench.embed.training.objectives import DistilAndRank

        self._score(work)
        self.require(len(work.data.examples), "examples", work.folder.name)

        def loss(model: Any) -> Any:
            return DistilAndRank(model, self.temperature, self.teacher_temperature, self.contrastive)

        return fit_encoder(work, self, work.data.examples, loss, scored=True)

    def _score(self, work: Work) -> None:
        """Ask the teacher once and keep its scores, so that a killed stage does not ask again."""
        from fmtbench.embed.training.teacher import scored

        teacher, kept = Path(self.teacher) if self.teacher else work.teacher, work.folder / EXAMPLES
        if teacher is not None and not kept.is_file():
            write_examples(kept, scored(teacher, work.data.examples, self.batch_size))
        if kept.is_file():
            work.take(read_examples(kept))

    def restore(self, work: Work) -> None:
        super().restore(work)
        self._score(work)
