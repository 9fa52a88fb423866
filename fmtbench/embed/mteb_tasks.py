"""mteb's tasks by name, or a whole mteb benchmark; mteb loads their data from the hub."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from fmtbench.embed.tasks import EmbedTask
from fmtbench.errors import UserError


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Mteb(EmbedTask):
    """Each task is a column under its own name."""

    name: str | tuple[str, ...] | None = None
    """One task or several."""
    benchmark: str | None = None
    """All tasks of a benchmark, with its own choice of languages and splits, instead of `name`."""
    languages: tuple[str, ...] = ()
    """ISO 639-3 codes of a multilingual task; empty takes all."""

    def tasks(self, name: str, limit: int | None) -> dict[str, Any]:
        if limit is not None:
            raise UserError("limit= does not apply to embed_task=mteb: its tasks run whole; leave limit out")
        names = (self.name,) if isinstance(self.name, str) else self.name or ()
        if bool(names) == bool(self.benchmark):
            raise UserError("embed_task=mteb needs mteb_task=TASK, such as mteb_task=[STSBenchmark,KLUE-STS], or benchmark=NAME")
        chosen = [self._task(one) for one in names] if names else self._all()
        found = {task.metadata.name: task for one in chosen for task in _parts(one)}
        for task in found.values():
            _load(task)
        return found

    def _task(self, name: str) -> Any:
        import mteb

        try:
            return mteb.get_task(name, languages=list(self.languages) or None)
        except KeyError as error:
            near = _near(name, (one.metadata.name for one in mteb.get_tasks()))
            raise UserError(f"mteb_task={name} is no task of mteb: near are {near}") from error
        except ValueError as error:
            subsets = ", ".join(mteb.get_task(name).metadata.languages)
            raise UserError(f"{name} has no subset in languages={list(self.languages)}: it has {subsets}") from error

    def _all(self) -> list[Any]:
        import mteb

        if self.languages:
            raise UserError(
                "languages= does not apply to benchmark=, which chooses its own: leave languages out, or give mteb_task="
            )
        try:
            return list(mteb.get_benchmark(str(self.benchmark)).tasks)
        except KeyError as error:
            near = _near(str(self.benchmark), (one.name for one in mteb.get_benchmarks()))
            raise UserError(f"benchmark={self.benchmark} is no benchmark of mteb: near are {near}") from error


def _near(name: str, known: Iterable[str]) -> str:
    return "; ".join(difflib.get_close_matches(name, list(known), n=3, cutoff=0.4)) or "none"


def _parts(task: Any) -> list[Any]:
    """The task, or the tasks that an aggregate such as CQADupstack averages: each is a column."""
    from mteb.abstasks.aggregated_task import AbsTaskAggregate

    return list(task.metadata.tasks) if isinstance(task, AbsTaskAggregate) else [task]


def _load(task: Any) -> None:
    try:
        task.load_data()
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"mteb cannot load the data of {task.metadata.name} ({reason}): check the network") from error
