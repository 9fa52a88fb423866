"""Which kind of log a file is: as the user says, or by its name and its first characters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fmtbench.errors import UserError
from fmtbench.running.importing.base import Importer, opened_first
from fmtbench.running.importing.helm import HELM
from fmtbench.running.importing.inspect_log import INSPECT
from fmtbench.running.importing.lines import JSON
from fmtbench.running.importing.lm_eval import LM_EVAL
from fmtbench.running.importing.table import TABLE

IMPORTERS: dict[str, Importer] = {"lm_eval": LM_EVAL, "inspect": INSPECT, "helm": HELM, "csv": TABLE, "json": JSON}
"""In the order in which a file is tried; JSON lines are whatever is nothing else."""


def choose(paths: Sequence[Path], said: str | None) -> str:
    """The name of the one importer of all files. Raises `UserError` for a name that is none, or files of several kinds."""
    if said is not None:
        if said not in IMPORTERS:
            raise UserError(f"source={said}: allowed are {', '.join(IMPORTERS)}, or leave it out: the files tell")
        return said
    kinds: dict[str, Path] = {}
    for path in paths:
        first = opened_first(path)
        kinds.setdefault(next(name for name, one in IMPORTERS.items() if one.known(path, first)), path)
    if len(kinds) > 1:
        (one, here), (other, there), *_ = kinds.items()
        raise UserError(f"{here} looks like source={one} and {there} like source={other}: give one kind of log, or say source=")
    return next(iter(kinds))
