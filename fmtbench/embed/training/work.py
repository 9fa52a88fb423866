"""What stages hand on: `Supply` is known before any weights are loaded, `Work` holds the weights.

What a stage leaves in its folder is what the next one starts from: `adapter/` (PEFT), or `weights.safetensors` where all
weights are trained; `examples.jsonl` where the data changed; `teacher/`. `loss.jsonl` has a line for each step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fmtbench.backbone import Backbone
from fmtbench.embed.description import LoadedEncoder
from fmtbench.embed.training.examples import Example, TrainSet


@dataclass(frozen=True, kw_only=True)
class Supply:
    """What a stage will find."""

    examples: int
    smallest: int
    """Examples of the smallest training set: a batch is of one set."""
    negatives: int
    """Of each example; of the set with the fewest."""
    texts: int
    scores: bool = False
    teacher: bool = False
    adapter: bool = False
    """There is a LoRA adapter on the weights."""


@dataclass(kw_only=True)
class Work:
    """The encoder under training and what belongs to it. Each stage changes it."""

    backbone: Backbone
    loaded: LoadedEncoder
    """`loaded.model[0].model` are the weights, with the adapter's layers in them."""
    data: TrainSet
    seed: int
    folder: Path
    """The folder of the stage that runs."""
    adapter: Any = None
    """The `PeftModel` around the weights, which saves, merges and removes the adapter. None without one."""
    teacher: Path | None = None

    @property
    def weights(self) -> Any:
        return self.loaded.model[0].model

    def take(self, examples: list[Example]) -> None:
        self.data = replace(self.data, examples=tuple(examples))
