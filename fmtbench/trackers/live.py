"""Sits between a run and a tracker: counts generations as they pass, and reports the scores of each cell at the end.

    with live(tracker, "quickstart", "smollm2_135m", settings, progress) as watch:
        watch.scores(run(job, watch=watch))

During the run it reports `done`, `tokens`, `tokens_per_second` and `errors`; at the end, for each cell under the name
`<task>/<condition>/<prompt>-seed<k>/`: `strict`, `marked`, `latent` and `ok` (shares), and `tokens` (a mean).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from fmtbench.trackers.base import Tracker
from fmtbench.types import Generation, Row, Watch

EVERY_SECONDS = 10.0


class Live:
    """Passes generations through and reports them to a tracker. One instance serves a whole run and counts all of its streams."""

    def __init__(self, tracker: Tracker, watch: Watch, every: float = EVERY_SECONDS) -> None:
        self._tracker, self._watch, self._every = tracker, watch, every
        self._started = self._told = time.monotonic()
        self._done = self._tokens = self._errors = 0

    def __call__(self, total: int, stream: Iterable[Generation]) -> Iterator[Generation]:
        for generation in self._watch(total, stream):
            self._done += 1
            self._tokens += generation.completion_tokens
            self._errors += generation.finish_reason == "error"
            if time.monotonic() - self._told >= self._every:
                self._tell()
            yield generation
        self._tell()

    def _tell(self) -> None:
        self._told = time.monotonic()
        speed = self._tokens / max(self._told - self._started, 1e-6)
        counts = {"done": self._done, "tokens": self._tokens, "tokens_per_second": speed, "errors": self._errors}
        self._tracker.log(counts, step=self._done)

    def scores(self, rows: Sequence[Row]) -> None:
        """Report the scores of one cell or several."""
        cells: dict[str, list[Row]] = {}
        for row in rows:
            cells.setdefault(f"{row.task}/{row.condition}/{row.prompt}-seed{row.seed}", []).append(row)
        values = {f"{cell}/{name}": value for cell, group in cells.items() for name, value in _scores(group).items()}
        if values:
            self._tracker.log(values, step=self._done)


def _scores(rows: Sequence[Row]) -> dict[str, float]:
    def mean(values: Iterable[float]) -> float:
        return sum(values) / len(rows)

    return {
        "strict": mean(row.correct for row in rows),
        "marked": mean(row.marked_correct for row in rows),
        "latent": mean(row.latent_correct for row in rows),
        "ok": mean(row.status == "ok" for row in rows),
        "tokens": mean(row.completion_tokens for row in rows),
    }


@contextmanager
def live(tracker: Tracker, experiment: str, name: str, settings: Mapping[str, Any], watch: Watch) -> Iterator[Live]:
    """Open a run of the tracker; it is closed as failed if the block raises."""
    tracker.start(experiment, name, settings)
    ok = False
    try:
        yield Live(tracker, watch)
        ok = True
    finally:
        tracker.finish(ok=ok)
