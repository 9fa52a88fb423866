"""Weights & Biases: a project is our experiment, a run is one job. Offline unless told otherwise; `wandb sync` uploads later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fmtbench.trackers.base import Values, library


@dataclass(frozen=True, kw_only=True)
class WandB:
    mode: Literal["offline", "online"] = "offline"
    folder: str | None = None
    """Where runs are written; null takes $WANDB_DIR, else ./wandb."""

    def start(self, experiment: str, name: str, settings: Mapping[str, Any]) -> None:
        library("wandb").init(project=experiment, name=name, config=dict(settings), mode=self.mode, dir=self.folder)

    def log(self, values: Values, step: int) -> None:
        library("wandb").log(dict(values), step=step)

    def finish(self, *, ok: bool) -> None:
        library("wandb").finish(exit_code=0 if ok else 1)
