"""Where a data set's rows come from: the Hugging Face hub by id and revision, or a local file under `data_root`."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from fmtbench.errors import UserError


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Source:
    """A split of a hub data set, and the file that holds the same rows locally."""

    hub_id: str
    config: str | None = None
    split: str
    revision: str | None = None
    """Commit of the hub repository; null takes the newest, and the manifest records a hash of the rows."""
    data_root: str | None = None
    """Folder of local data sets; null takes the hub."""
    file: str | None = None
    """JSON lines (`.jsonl`, also gzipped) under `data_root`."""

    @property
    def name(self) -> str:
        return str(self._path) if self._path else f"{self.hub_id} ({self.split})"

    @property
    def _path(self) -> Path | None:
        return Path(self.data_root, self.file) if self.data_root and self.file else None

    def rows(self) -> list[dict[str, Any]]:
        """All rows, in the data set's order."""
        rows = read_jsonl(self._path) if self._path else self._hub_rows()
        if not rows:
            raise UserError(f"{self.name} holds no rows")
        return rows

    def _hub_rows(self) -> list[dict[str, Any]]:
        import datasets  # heavy, and needed only for hub data

        try:
            return list(datasets.load_dataset(self.hub_id, self.config, split=self.split, revision=self.revision))
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            hint = f" or set data_root to the folder that holds {self.file}" if self.file else ""
            raise UserError(f"cannot load {self.hub_id} from the hub ({reason}): check the network{hint}") from error

    def field(self, row: int, record: dict[str, Any], name: str) -> str:
        """One text field of a row, which must be there and not be empty."""
        value = record.get(name)
        if not isinstance(value, str) or not value.strip():
            raise UserError(
                f"{self.name}, row {row}: field '{name}' must be a text, got {value!r}; fields there: {sorted(record)}"
            )
        return value


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON-lines file; blank lines are skipped, anything else names its line."""
    if not path.is_file():
        raise UserError(f"data file {path} does not exist: check the path (data_root, or the file's name)")
    opener = gzip.open if path.suffix == ".gz" else open
    rows = []
    try:
        with opener(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    rows.append(_object(path, number, line))
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile) as error:
        raise UserError(f"data file {path} cannot be read as UTF-8 JSON lines: {error}") from error
    return rows


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise UserError(f"{path}, line {number}: not JSON ({error})") from error
    if not isinstance(value, dict):
        raise UserError(f"{path}, line {number}: expected a JSON object, got {type(value).__name__}")
    return value
