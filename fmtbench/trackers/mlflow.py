"""MLflow: an experiment is ours, a run is one job. It goes to `uri`, else $MLFLOW_TRACKING_URI, else ./mlflow.db."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fmtbench.trackers.base import Values, library


@dataclass(frozen=True, kw_only=True)
class MLflow:
    uri: str | None = None
    """A server, `sqlite:///FILE`, or a folder."""

    def start(self, experiment: str, name: str, settings: Mapping[str, Any]) -> None:
        mlflow = library("mlflow")
        if self.uri:
            mlflow.set_tracking_uri(self.uri)
        mlflow.set_experiment(experiment)
        mlflow.start_run(run_name=name)
        mlflow.log_params({key: str(value)[:500] for key, value in settings.items()})

    def log(self, values: Values, step: int) -> None:
        library("mlflow").log_metrics(dict(values), step=step)

    def finish(self, *, ok: bool) -> None:
        library("mlflow").end_run("FINISHED" if ok else "FAILED")
