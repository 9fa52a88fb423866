"""The backbone that writes second passes: `formatter=` takes a name from `conf/backbone`, or a folder with weights.

Its settings go into the config, which is stored with the results.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig

from fmtbench.errors import UserError
from fmtbench.presets import nearest

from .conf import option_file, options


def fill_formatter(config: DictConfig) -> None:
    """Replace the backbone's name by its settings. Raises `UserError` for a name that is not a backbone."""
    given = config.get("formatter")
    if given is None or not isinstance(given, str):
        return
    config.formatter = _settings(given)


def _settings(given: str) -> dict[str, Any]:
    known = options("backbone")
    path = option_file("backbone", given) if given in known else None
    if path is not None:
        found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        return found
    weights = Path(given).expanduser()
    if not weights.exists():
        raise UserError(
            f"formatter={given}: it is no backbone: {nearest(given, known)}allowed are {', '.join(known)}, or a folder of weights"
        )
    return {"_target_": "fmtbench.backbone.Backbone", "name": weights.stem, "path": str(weights)}
