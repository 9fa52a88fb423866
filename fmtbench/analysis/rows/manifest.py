"""A cell's manifest, as the tables need it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fmtbench.errors import UserError
from fmtbench.store.manifest import misshapen


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest; empty if there is none. Raises `UserError` if it is damaged."""
    if not path.exists():
        return {}
    if not path.is_file():  # reading a pipe might never return
        raise UserError(f"{path} is not a file: delete it, and score its folder again")
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error}): score its folder again, or delete the file") from error
    if wrong := misshapen(found):
        raise UserError(f"{path} is not fmtbench's ({wrong}): score its folder again, or delete the file")
    return dict(found)
