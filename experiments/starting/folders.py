"""The results folders that a command is given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fmtbench.errors import UserError


def results_folders(given: str | Sequence[str]) -> list[Path]:
    """The folders of `results=FOLDER` or `results=[FOLDER,FOLDER]`. Raises `UserError` for an empty list."""
    if not isinstance(given, str | Sequence):
        raise UserError(f"results={given}: give a folder, such as results=results/quickstart, or a list of several")
    folders = [Path(given)] if isinstance(given, str) else [Path(str(one)) for one in given]
    if not folders:
        raise UserError("results=[] names no folder: give results=results/quickstart, or a list of several")
    return folders
