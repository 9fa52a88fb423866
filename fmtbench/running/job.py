"""What runs: a cell is one task under one condition; a job is the grid of cells that one backbone on one backend answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fmtbench.backbone import Backbone
from fmtbench.backends.base import Backend
from fmtbench.conditions.condition import Condition
from fmtbench.conditions.prompt import Prompt
from fmtbench.store.folder import RunFolder, cell_path
from fmtbench.tasks.base import Task
from fmtbench.types import Sampling


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One task under one condition, one prompt and one seed."""

    experiment: str
    backbone: str
    task: str
    condition: str
    prompt: str
    seed: int
    config: str = field(default="", repr=False)
    """The resolved configuration as YAML text, which is stored beside the results."""

    def folder(self, results: Path) -> RunFolder:
        variant = f"{self.prompt}-seed{self.seed}"
        return RunFolder(cell_path(results, self.experiment, self.backbone, self.task, self.condition, variant))


@dataclass(frozen=True, kw_only=True)
class Job:
    """One backbone on one backend, and the cells it answers. The keys of the dictionaries are the names that the cells use."""

    cells: Sequence[Cell]
    tasks: dict[str, Task]
    conditions: dict[str, Condition]
    prompts: dict[str, Prompt]
    backbone: Backbone
    backend: Backend
    sampling: Sampling
    results: Path
    limit: int | None = None
    """Use the first `limit` items of each task; None uses all."""
    skip: int = 0
    """Leave out so many items at the beginning of each task; `limit` counts from there."""
    limit_of: Mapping[str, int] = field(default_factory=dict)
    """A limit of their own for some tasks, by name; the smaller of the two holds."""
    samples_of: Mapping[str, int] = field(default_factory=dict)
    """Samples per item for some conditions, by name; the others take `sampling.samples`."""
    only: Mapping[Cell, frozenset[tuple[str, int]]] = field(default_factory=dict)
    """Items and samples that some cells are restricted to; the others ask all."""
    retry_errors: bool = False
    """Whether to generate again what ended in an `engine_error`."""
    formatter: Backbone | None = None
    """Writes the second passes of conditions with `formatter: other`, on the same engine."""

    def condition(self, name: str) -> Condition:
        """A condition as this backbone is held to it: a call that is enforced is one in the model's own syntax."""
        found = self.conditions[name]
        if found.asked != "tool" or found.enforced != "schema" or found.calls is not None:
            return found
        return replace(found, calls=self.backend.calls(self.backbone).syntax or None)

    def most_items(self, task: str) -> int | None:
        """How many items of a task are used; None for all."""
        return min((limit for limit in (self.limit, self.limit_of.get(task)) if limit is not None), default=None)

    def samples(self, condition: str) -> int:
        """Samples per item under a condition."""
        return self.samples_of.get(condition, self.sampling.samples)
