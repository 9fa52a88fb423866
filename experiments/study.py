"""A results folder as the tables need it: its rows, and as plain data what its conditions are and what was planned."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import yaml

from experiments.cli import CONF
from fmtbench.analysis.frame import DuplicateError, Source, compact, duplicates, join, load_sources
from fmtbench.analysis.missing import missing_cells
from fmtbench.errors import UserError

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times as fast in C, for studies of a thousand cells."""

Settings = dict[str, dict[str, Any]]


class Study(NamedTuple):
    rows: pd.DataFrame
    axes: Settings
    """Settings of each condition, from the cells' own configs, else from the preset of its name."""
    presets: Settings
    planned: list[Any]
    origin: dict[str, str]
    """`runs` and `commit`: what every table names as its source."""
    complaints: list[str]
    """One line for each file that was left out."""
    missing: pd.DataFrame
    """The cells that are not whole; see `missing_cells`."""


def load_study(roots: list[Path], *, mixed: bool = False, slim: bool = True) -> Study:
    """Everything readable under the folders. Raises `UserError` where nothing is, or where runs must not be compared."""
    sources, complaints = load_sources(roots, slim=slim)
    if not sources:
        raise UserError("; ".join(complaints))
    try:
        rows = join(sources, mixed=mixed)
    except DuplicateError:
        twice = duplicates(sources)
        complaints = [*complaints, *twice.values()]
        sources = [source for source in sources if source.path not in twice]
        if not sources:
            raise UserError("; ".join(complaints)) from None
        rows = join(sources, mixed=mixed)
    rows = compact(rows)
    complaints = [*complaints, *(_empty(source) for source in sources if not len(source.rows))]
    configs = [read_config(source.path.with_name("config.yaml")) for source in sources]
    presets = condition_presets()
    origin, missing = _origin(roots, sources), missing_cells(rows)
    return Study(rows, _axes(configs, presets), presets, _planned(configs), origin, complaints, missing)


def _empty(source: Source) -> str:
    """A cell that was refused, or has not come to its first item."""
    why = source.manifest.get("refused") or source.manifest.get("status") or "it has no manifest"
    return f"{source.path} holds no rows: {why}"


def condition_presets() -> Settings:
    """The conditions of `conf/condition`."""
    found: Settings = {}
    for path in sorted((CONF / "condition").glob("*.yaml")):
        found |= yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def read_config(path: Path) -> dict[str, Any]:
    try:
        config = yaml.load(path.read_text(encoding="utf-8"), LOADER) if path.is_file() else {}
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML ({str(error).splitlines()[0]}): mend it, or delete it") from error
    return config if isinstance(config, dict) else {}


def _axes(configs: list[dict[str, Any]], presets: Settings) -> Settings:
    own: Settings = {}
    for config in configs:
        own |= config.get("condition") or {}
    return presets | own


def _planned(configs: list[dict[str, Any]]) -> list[Any]:
    planned: list[Any] = []
    for config in configs:
        planned += [one for one in config.get("planned") or [] if one not in planned]
    return planned


def _origin(roots: list[Path], sources: list[Source]) -> dict[str, str]:
    """Names of the folders, the number of cells, a hash of the rows' bytes, and the commits that made them."""
    digest = hashlib.sha256()
    for source in sources:
        digest.update(hashlib.sha256(source.path.read_bytes()).digest())
    names = "+".join(root.resolve().name for root in roots)
    codes = sorted({_commit(source.manifest) for source in sources})
    return {"runs": f"{names} ({len(sources)} files, rows sha256 {digest.hexdigest()[:12]})", "commit": ", ".join(codes)}


def _commit(manifest: Mapping[str, Any]) -> str:
    code = manifest.get("code") or {}
    return f"{code['commit'][:12]}{' (changed)' if code.get('dirty') else ''}" if code.get("commit") else "unknown commit"
