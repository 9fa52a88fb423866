"""A stage of a recipe: settings as data, a check that needs no weights, and the work itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict
from typing import Any, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.embed.training.adapters import Lora, restore_weights
from fmtbench.embed.training.work import Supply, Work
from fmtbench.errors import UserError

HOW_ONLY = ("save_every", "mini_batch")
"""Settings that do not change the result."""


YOUNGER = {"alpha": 1.0, "reranker": None}
"""Settings that were added later, with the value for the original behaviour: left out at it, so that older keys stay valid."""


class Stage(ABC):
    """One step of a recipe; its settings are its fields."""

    @abstractmethod
    def check(self, supply: Supply, name: str) -> Supply:
        """What this stage will leave for the next one. Raises `UserError` if it cannot work with what it will find."""

    @abstractmethod
    def run(self, work: Work) -> dict[str, Any]:
        """Run, and leave the result in `work` and `work.folder`. Returns facts for the manifest."""

    @abstractmethod
    def restore(self, work: Work) -> None:
        """Bring `work` to where the finished stage in `work.folder` left it."""

    def settings(self) -> dict[str, Any]:
        """Everything that determines the result. The class name is part of the keys of folders that users have."""
        found: dict[str, Any] = asdict(self)  # type: ignore[call-overload]
        own = {name: value for name, value in found.items() if name not in HOW_ONLY and value != YOUNGER.get(name, ...)}
        return {"kind": type(self).__name__, **own}


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class TrainingStage(Stage):
    """The settings of every stage that trains."""

    steps: int | None = Field(default=None, gt=0)
    """Null takes as many as `epochs` need."""
    epochs: float = Field(default=1, gt=0)
    batch_size: int = Field(default=32, gt=1)
    learning_rate: float = Field(default=1e-4, gt=0)
    warmup: float = Field(default=0.1, ge=0)
    """A share of the steps if below 1, otherwise a number of steps."""
    weight_decay: float = Field(default=0.0, ge=0)
    lora: Lora | None = None
    """Null trains all weights. An adapter that is already there is trained further; put `merge` before for a fresh one."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """The precision of the arithmetic; the weights stay in float32."""
    save_every: int = Field(default=50, gt=0)
    """Steps between checkpoints."""
    alpha: float = Field(default=1.0, ge=0, le=1)
    """How often each of several training sets gives a batch: in proportion to its size to this power. 1 is proportional, 0 is
    equal; GTE (arXiv 2308.03281) has 0.5."""

    def rates(self) -> dict[str, float]:
        """Learning rates other than `learning_rate`, by regular expressions for the names of parameters."""
        return {}

    def require(self, found: int, what: str, name: str) -> None:
        """Raises `UserError` if the data do not fill one batch."""
        if self.batch_size > found:
            raise UserError(f"{name}: batch_size={self.batch_size} is larger than the data ({found} {what}): lower it")

    def require_sets(self, supply: Supply, name: str) -> None:
        """Like `require`, for each training set, since batches do not mix sets."""
        alone = supply.smallest == supply.examples
        self.require(supply.smallest, "examples" if alone else "examples in the smallest training set", name)

    def chance(self, negatives: float) -> float | None:
        """The loss of an encoder to which all texts are equally near, with this many hard negatives per example.

        None if the loss has no such value.
        """
        return None

    def restore(self, work: Work) -> None:
        restore_weights(work)
