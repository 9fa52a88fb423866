"""One run folder: every file is checked against the others, except `run.log`, which nothing depends on."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fmtbench.auditing.findings import Finding
from fmtbench.auditing.journal import read_journal
from fmtbench.auditing.requests import check_sampling, read_requests
from fmtbench.auditing.rows import check_rows
from fmtbench.auditing.side_files import check_config, check_items, read_manifest
from fmtbench.conditions.condition import Condition
from fmtbench.errors import UserError
from fmtbench.probes.swap import arm_of
from fmtbench.running.job import Cell
from fmtbench.store.folder import Planned, why_barred
from fmtbench.store.stored import read_config
from fmtbench.tasks.base import Task

Build = Callable[[Path], tuple[Cell, Task, Condition]]
"""Builds the cell of a run folder, and the objects that read and judge it; raises `UserError` where the config cannot say."""


@dataclass(frozen=True, kw_only=True)
class CellAudit:
    """What was checked in one run folder, and what was found."""

    path: Path
    requests: int = 0
    replies: int = 0
    """The number of requests with a generation."""
    unasked: int = 0
    """Generations that no planned request asks for, such as a smaller `limit` leaves behind: they are kept, but not scored."""
    findings: list[Finding] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    """What could not be checked, and why."""

    @property
    def held(self) -> bool:
        return not self.findings


def audit_cell(path: Path, build: Build) -> CellAudit:
    """Check every file of a run folder; writes nothing."""
    manifest, found, unchecked = read_manifest(path / "manifest.json")
    of_config, more = check_config(path / "config.yaml", manifest)
    planned, of_requests = read_requests(path / "requests.jsonl", barred=bool(why_barred(manifest)))
    journalled, of_journal = read_journal(path / "generations.jsonl")
    found += [*of_config, *of_requests, *of_journal]
    if not of_requests:
        found += check_items(planned, manifest)
    wanted = {one.request.key for one in planned}
    said = {one.generation.key for one in journalled} & wanted
    found += _unanswered(planned, said, manifest)
    found += _scored(path, build, planned, manifest, bool(of_requests))
    unasked = sum(one.generation.key not in wanted for one in journalled)
    return CellAudit(
        path=path, requests=len(planned), replies=len(said), unasked=unasked, findings=found, unchecked=[*unchecked, *more]
    )


def _unanswered(planned: list[Planned], said: Container[str], manifest: dict[str, Any]) -> list[Finding]:
    """A cell whose status is complete must have a reply to every request."""
    missing = [one for one in planned if one.request.key not in said]
    if manifest.get("status") != "complete" or not missing:
        return []
    first = missing[0]
    what = f"{len(missing)} requests have no reply, and manifest.json says complete; the first is item {first.item.id}"
    return [Finding(file="generations.jsonl", place=f"key {first.request.key[:12]}", what=what)]


def _scored(path: Path, build: Build, planned: list[Planned], manifest: dict[str, Any], torn: bool) -> list[Finding]:
    try:
        cell, task, condition = build(path)
        sampling = read_config(path / "config.yaml").get("sampling")
        astray = _astray(path, cell)
    except UserError as error:
        return [Finding(file="config.yaml", what=f"cannot be used: {error}")]
    first = [one for one in planned if not one.after]
    swapped = arm_of(cell.condition) is not None
    found = astray + check_sampling(first, sampling if isinstance(sampling, dict) else {}, cell.seed, swapped)
    if torn:
        return [*found, Finding(file="rows.parquet", what="is not compared, because rows follow from requests.jsonl")]
    return found + check_rows(path, cell, task, condition, manifest)


def _astray(path: Path, cell: Cell) -> list[Finding]:
    """Paths are derived from content: a folder must lie where its config says."""
    parts = cell.folder(Path()).path.parts
    lies = path.resolve().parts[-len(parts) :]
    what = f"is that of {'/'.join(parts)}, and the folder is {'/'.join(lies)}"
    return [] if lies == parts else [Finding(file="config.yaml", what=what)]
