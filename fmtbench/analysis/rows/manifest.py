"""A cell's manifest, as the tables need it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fmtbench.errors import UserError


def read_manifest(path: Path) -> dict[str, Any]:
    """Empty where there is none. Raises `UserError` where it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): score its folder again, or delete the file") from error
