"""A stage of a recipe: settings as data, a check that needs no weights, and the work itself.

What a stage leaves in its folder is what the next one starts from: `adapter/` (PEFT), or `weights.safetensors` where all
weights are trained, `examples.jsonl` where the data changed, `teacher/`; `loss.jsonl` beside them, a line a step.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field
from pydantic import dataclasses as checked

from fmtbench.backbone import Backbone
from fmtbench.embed.encoder import Loaded
from fmtbench.embed.training.data import Example, TrainSet
from fmtbench.errors import UserError
from fmtbench.store.files import replacing

HOW_ONLY = ("save_every", "mini_batch")
"""Settings that do not change what comes out."""


@dataclass(frozen=True, kw_only=True)
class Supply:
    """What a stage finds, known before any weights are loaded."""

    examples: int
    negatives: int
    """Of each example."""
    texts: int
    scores: bool = False
    teacher: bool = False
    adapter: bool = False
    """A LoRA adapter is on the weights."""


@dataclass(kw_only=True)
class Work:
    """What is handed from stage to stage, changed by each."""

    backbone: Backbone
    loaded: Loaded
    """The encoder under training; `loaded.model[0].model` are the weights, with the adapter's layers in them."""
    data: TrainSet
    seed: int
    folder: Path
    """Of the stage that runs."""
    adapter: Any = None
    """The `PeftModel` around the weights: what saves, merges and removes the adapter. None without one."""
    teacher: Path | None = None

    @property
    def weights(self) -> Any:
        return self.loaded.model[0].model

    def take(self, examples: list[Example]) -> None:
        self.data = replace(self.data, examples=tuple(examples))


class Stage(ABC):
    """One step of a recipe; its settings are its fields."""

    @abstractmethod
    def check(self, supply: Supply, name: str) -> Supply:
        """What this stage leaves to the next. Raises `UserError` for what it cannot work with."""

    @abstractmethod
    def run(self, work: Work) -> dict[str, Any]:
        """Do it, and leave the result in `work` and `work.folder`. Returns facts for the manifest."""

    @abstractmethod
    def restore(self, work: Work) -> None:
        """Bring `work` to where the finished stage in `work.folder` left it."""

    def settings(self) -> dict[str, Any]:
        """All that determines the result."""
        own = {name: value for name, value in asdict(self).items() if name not in HOW_ONLY}  # type: ignore[call-overload]
        return {"kind": type(self).__name__, **own}


@checked.dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Lora:
    """A low-rank adapter (Hu et al. 2021, arXiv 2106.09685); PEFT's words."""

    rank: int = Field(default=16, gt=0)
    alpha: int = Field(default=32, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: tuple[str, ...] | Literal["all-linear"] = "all-linear"


@checked.dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Fit(Stage):
    """What every stage that trains can set."""

    steps: int | None = Field(default=None, gt=0)
    """Null: as many as `epochs` take."""
    epochs: float = Field(default=1, gt=0)
    batch_size: int = Field(default=32, gt=1)
    learning_rate: float = Field(default=1e-4, gt=0)
    warmup: float = Field(default=0.1, ge=0)
    """Below 1: a share of the steps; else steps."""
    weight_decay: float = Field(default=0.0, ge=0)
    lora: Lora | None = None
    """Null trains all weights. Where an adapter is already on, it is trained on: put `merge` between for a fresh one."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the arithmetic; the weights stay float32."""
    save_every: int = Field(default=50, gt=0)
    """Steps between checkpoints."""

    def enough(self, found: int, what: str, name: str) -> None:
        if self.batch_size > found:
            raise UserError(f"{name}: batch_size={self.batch_size} is larger than the data ({found} {what}): lower it")

    def restore(self, work: Work) -> None:
        from fmtbench.embed.training.adapters import restore_weights

        restore_weights(work)


def write_examples(path: Path, examples: tuple[Example, ...] | list[Example]) -> None:
    with replacing(path) as part:
        part.write_text("".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in examples), encoding="utf-8")


def read_examples(path: Path) -> list[Example]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [Example(**{**row, "negatives": tuple(row["negatives"]), "scores": tuple(row["scores"])}) for row in rows]
