"""The files of somebody else's log."""

from __future__ import annotations

import glob
from pathlib import Path

from fmtbench.errors import UserError


def log_files(said: str) -> list[Path]:
    """The files that a path or a pattern such as `logs/**/*.jsonl` names, in order. Raises `UserError` where there is none."""
    if Path(said).is_file():
        return [Path(said)]
    if not glob.has_magic(said):
        raise UserError(f"data file {said} does not exist: check transcripts=, a file or a pattern such as 'logs/**/*.jsonl'")
    found = sorted(path for path in map(Path, glob.iglob(said, recursive=True)) if path.is_file())
    if not found:
        raise UserError(f"transcripts={said} matches no file: check the folder and the ending, such as 'logs/**/*.jsonl.gz'")
    return found
