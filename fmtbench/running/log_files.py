"""The files of somebody else's log, record by record: only one record is held at a time."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fmtbench.errors import UserError
from fmtbench.tasks.readers import read_rows, stream_jsonl

TABLES = ("csv", "tsv")


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


def records(path: Path) -> Iterator[dict[str, Any]]:
    """JSON lines, or a CSV or TSV with a header; each also gzipped. A CSV is held whole, JSON lines are not."""
    if path.name.removesuffix(".gz").rpartition(".")[2] in TABLES:
        yield from read_rows(path, None, None, ())
    else:
        yield from stream_jsonl(path)
