"""The conditions of `conf/condition`, for rows that come without a config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from fmtbench.analysis.rows.study import Study
from fmtbench.analysis.rows.study import load_study as load
from fmtbench.presets import CONF


def load_study(roots: list[Path], *, mixed: bool = False, slim: bool = True, first: bool = False) -> Study:
    """A results folder or a packed study, in the form the tables need."""
    return load(roots, presets=condition_presets(), mixed=mixed, slim=slim, first=first)


def condition_presets() -> dict[str, dict[str, Any]]:
    """The conditions of `conf/condition`."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((CONF / "condition").glob("*.yaml")):
        found |= yaml.safe_load(path.read_text(encoding="utf-8"))
    return found
