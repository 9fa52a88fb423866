"""A results folder as cells: rows, and what the run folder says about how they were made.

Rows alone are enough; the prompts are then the bare questions, and dates and settings are unknown.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from fmtbench.analysis.rows.frame import EmptyError, load_files
from fmtbench.analysis.rows.missing import CELL
from fmtbench.analysis.rows.study import empty_note, read_config
from fmtbench.errors import UserError
from fmtbench.store.folder import REBUILT

UNKNOWN_TIME = "1970-01-01T00:00:00+00:00"
LONGEST_NAME = 120
ROW_ORDER = ["item_id", "sample"]

Messages = list[dict[str, str]]


class ScoredCell(NamedTuple):
    """One backbone on one task under one condition, prompt and seed."""

    backbone: str
    task: str
    condition: str
    prompt: str
    seed: int
    rows: pd.DataFrame
    """Ordered by item, then sample."""
    manifest: dict[str, Any]
    config: dict[str, Any]
    prompts: dict[str, Messages]
    """What the model saw, by request key."""

    @property
    def name(self) -> str:
        """Identifies the cell within its backbone and is fit for a file name: `gsm8k__json_schema__plain-seed0`."""
        return f"{self.task}__{self.condition}__{self.prompt}-seed{self.seed}"

    @property
    def settings(self) -> dict[str, Any]:
        """The condition's axes, without the class that they configure."""
        return {key: value for key, value in _named(self.config, "condition", self.condition).items() if key != "_target_"}

    @property
    def source(self) -> dict[str, Any]:
        """Where the task's items come from; empty where they are generated or unknown."""
        return dict(_mapping(_named(self.config, "task", self.task).get("source")))

    @property
    def generated(self) -> bool:
        """Whether the items are known to be generated, rather than taken from a data set."""
        return bool(_named(self.config, "task", self.task)) and not self.source

    @property
    def sampling(self) -> dict[str, Any]:
        return self.manifest.get("sampling") or {}

    @property
    def commit(self) -> str:
        return str((self.manifest.get("code") or {}).get("commit", ""))

    @property
    def started(self) -> str:
        return self.manifest.get("started") or UNKNOWN_TIME

    @property
    def finished(self) -> str:
        return self.manifest.get("finished") or self.started

    def messages(self, row: Any) -> Messages:
        return self.prompts.get(row.request_key) or [{"role": "user", "content": text_or_none(row.question) or ""}]


def _named(config: Mapping[str, Any], group: str, name: str) -> dict[str, Any]:
    """One option of a group; empty where a foreign config has none, or one of another shape."""
    found = _mapping(_mapping(config.get(group)).get(name))
    return {str(key): value for key, value in found.items()}


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def read_cells(roots: Sequence[Path]) -> tuple[list[ScoredCell], list[str]]:
    """Every cell under the folders, and one line for each file without one. Raises `UserError` where there are no rows."""
    files, complaints = load_files(roots)
    cells = []
    for file in files:
        config, prompts = read_config(file), _prompts(file.path.with_name("requests.jsonl"))
        for key, rows in file.rows.groupby(CELL, observed=True, sort=True):
            backbone, task, condition, prompt, seed = map(str, key)
            ordered = rows.sort_values(ROW_ORDER, kind="stable", ignore_index=True)
            cells.append(ScoredCell(backbone, task, condition, prompt, int(seed), ordered, file.manifest, config, prompts))
    if not cells:
        raise EmptyError("; ".join(complaints) or "there are no rows: the run has not finished a single item yet")
    _check_twice(cells)
    empty = [empty_note(file) for file in files if not len(file.rows)]
    return sorted(cells, key=lambda cell: cell[:5]), [*complaints, *empty]


def _check_twice(cells: Sequence[ScoredCell]) -> None:
    seen = set()
    for cell in cells:
        name = f"{safe(cell.backbone)}/{safe(cell.name)}"
        if name in seen:
            raise UserError(f"{name} occurs twice: export one run of a cell only")
        seen.add(name)


def safe(name: str) -> str:
    """A name as part of a file name. Rows may come from anyone: no name leads out of the folder, and none is too long."""
    plain = re.sub(r"[^\w.+-]+|^\.+", "_", name)
    return plain if len(plain) <= LONGEST_NAME else f"{plain[:LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def _prompts(path: Path) -> dict[str, Messages]:
    if not path.is_file():
        return {}
    found = {}
    with open(path, "rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                one = json.loads(line)
                found[str(one["key"])] = [
                    {name: str(turn[name]) for name in ("role", "content")} for turn in one["request"]["messages"]
                ]
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise UserError(f"{path}, line {number}, is damaged ({type(error).__name__}): {REBUILT}") from error
    return found


def by_backbone(cells: Sequence[ScoredCell]) -> dict[str, list[ScoredCell]]:
    found: dict[str, list[ScoredCell]] = {}
    for cell in cells:
        found.setdefault(cell.backbone, []).append(cell)
    return found


def file_time(time: str) -> str:
    """A time for the names of log files, without colons or a time zone."""
    return datetime.fromisoformat(time).strftime("%Y-%m-%dT%H-%M-%S")


def text_or_none(value: Any) -> str | None:
    return None if pd.isna(value) else str(value)


def mean_and_error(verdicts: pd.Series) -> tuple[float, float]:
    """Accuracy over replies and its standard error as both frameworks compute it: independent replies, n - 1."""
    n, mean = len(verdicts), float(verdicts.mean())
    return mean, (mean * (1 - mean) / (n - 1)) ** 0.5 if n > 1 else 0.0
