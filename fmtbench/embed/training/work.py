"""What stages pass on: `Supply` is known before any weights are loaded, `Work` holds the weights.

The next stage starts from what a stage leaves in its folder: `adapter/` (PEFT), or `weights.safetensors` if all weights are
trained; `examples.jsonl` if the data changed; `teacher/`. `loss.jsonl` has one line per step.
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
    """What a stage will have to work with."""

    examples: int
    smallest: int
    """The number of examples in the smallest training set: batches do not mix sets."""
    negatives: int
    """The number of negatives per example, in the set with the fewest."""
    texts: int
    scores: bool = False
    teacher: bool = False
    adapter: bool = False
    """Whether there is a LoRA adapter on the weights."""


@dataclass(kw_only=True)
class Work:
    """The encoder under training and what belongs to it. Each stage changes it."""

    backbone: Backbone
    loaded: LoadedEncoder
    """`loaded.model[0].model` holds the weights, including the adapter's layers."""
    data: TrainSet
    seed: int
    folder: Path
    """The folder of the running stage."""
    adapter: Any = None
    """The `PeftModel` around the weights, which saves, merges and removes the adapter. None without one."""
    teacher: Path | None = None

    @property
    def weights(self) -> Any:
        return self.loaded.model[0].model

    def take(self, examples: list[Example]) -> None:
        self.data = replace(self.data, examples=tuple(examples))
