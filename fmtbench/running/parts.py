"""What a long rescoring has done so far, so that the same command goes on after a kill.

    DIR/.parts/of.json           what they are parts of: settings, files, version of the rows
    DIR/.parts/000000.parquet    the rows of the first `CHUNK` transcripts that can be scored, and so on

Parts are written whole or not at all, and removed once all rows are in one file.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from fmtbench.store.files import write_text
from fmtbench.store.provenance import provenance
from fmtbench.types import ROWS_VERSION

CHUNK = 5_000
"""Transcripts in a part: some twenty seconds of work."""
FOLDER, MADE_OF = ".parts", "of.json"


class PartFiles:
    """The parts under an output folder; those of other settings or other files are removed."""

    def __init__(self, output: Path, made_of: str) -> None:
        self.folder = output / FOLDER
        name = self.folder / MADE_OF
        if not name.is_file() or name.read_text(encoding="utf-8") != made_of:
            self.remove()
            self.folder.mkdir(parents=True)
            write_text(name, made_of)

    def path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.parquet"

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def chunks(transcripts: Iterable[Any]) -> Iterator[list[Any]]:
    stream = iter(transcripts)
    while chunk := list(islice(stream, CHUNK)):
        yield chunk


def made_of(settings: Mapping[str, Any], paths: Sequence[Path]) -> str:
    """Everything that determines the rows, as text: two commands with the same text make the same rows."""
    files = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    known = {"settings": settings, "files": files, "rows": ROWS_VERSION, "code": provenance()["code"]}
    return json.dumps(known, sort_keys=True, default=str)
