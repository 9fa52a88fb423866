"""trackio: a local database in $TRACKIO_DIR, viewed with `trackio show`. A project is our experiment, a run is one job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fmtbench.trackers.base import Values, library


class Trackio:
    def start(self, experiment: str, name: str, settings: Mapping[str, Any]) -> None:
        library("trackio").init(project=experiment, name=name, config=dict(settings), embed=False)

    def log(self, values: Values, step: int) -> None:
        library("trackio").log(dict(values), step=step)

    def finish(self, *, ok: bool) -> None:
        library("trackio").finish()
