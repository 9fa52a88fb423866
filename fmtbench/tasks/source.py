"""Where a data set's rows come from: the Hugging Face hub by id and revision, or a local file under `data_root`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench import hub
from fmtbench.errors import UserError
from fmtbench.tasks import source_row
from fmtbench.tasks.data_file import Format, read_rows


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Source:
    """A split of a hub data set, and the file that holds the same rows locally."""

    name: str
    """Short name of the data set; split and row number complete it to item ids."""
    hub_id: str | None
    """Null if the hub is not known to have this data set."""
    config: str | None = None
    split: str
    revision: str | None = None
    """Commit of the hub repository; null takes the newest, and the manifest records a hash of the rows."""
    licence: str
    citation: str
    data_root: str | None = None
    """Folder of local data sets; null takes the hub."""
    file: str | None = None
    """The file under `data_root`; null if no local copy is known."""
    format: Format | None = None
    """The format of `file`, if its suffix does not tell."""
    records: str | None = None
    """Key of the list of rows in a JSON document."""
    columns: tuple[str, ...] = ()
    """Names of the columns of a CSV without a header."""
    delimiter: str | None = None
    """The delimiter of a CSV, or `found`; null takes a comma, or a tab in a TSV."""
    part: str | None = None
    """Names the selection of rows in `file` if its row numbers are not the hub's: their ids must differ too."""
    fields: dict[str, source_row.Path] = Field(default_factory=dict)
    """Where `file` holds the fields that the task asks for, if under other names; see `tasks/source_row.py`."""
    hub_fields: dict[str, source_row.Path] | None = None
    """The same for the hub, if it differs."""
    hub_where: dict[str, str | int] = Field(default_factory=dict)
    """Use only those of the hub's rows that have these values."""

    @property
    def place(self) -> str:
        return str(self._path) if self._path else f"{self.hub_id} ({self.split})"

    @property
    def _path(self) -> Path | None:
        return Path(self.data_root, self.file) if self.data_root and self.file else None

    def rows(self) -> list[source_row.SourceRow]:
        """All rows, in the data set's order."""
        rows = self._file_rows(self._path) if self._path else self._hub_rows()
        if not rows:
            raise UserError(f"{self.place} holds no rows: fill it, or name another file, split or revision")
        paths = self.fields if self._path or self.hub_fields is None else self.hub_fields
        split = self.part if self._path and self.part else self.split
        return [
            source_row.SourceRow(id=f"{self.name}/{split}-{number}", where=f"{self.place}, row {number}", row=row, paths=paths)
            for number, row in enumerate(rows)
        ]

    def _file_rows(self, path: Path) -> list[dict[str, Any]]:
        if self.hub_id and not path.is_file():
            raise UserError(
                f"data file {path} does not exist: check the path (data_root, or the file's name), or take {self.hub_id} from "
                f"the hub: data_root=null, or task.{self.name}.source.data_root=null for this task alone"
            )
        return read_rows(path, self.format, self.records, self.columns, self.delimiter)

    def _hub_rows(self) -> list[dict[str, Any]]:
        if self.hub_id is None:
            raise UserError(f"{self.name} is not on the hub: set data_root to the folder that holds {self.file}")
        unreachable = "" if Path(self.hub_id).is_dir() else hub.out_of_reach()
        if unreachable and not hub.may_be_cached(self.hub_id):
            raise UserError(f"cannot load {self.hub_id} from the hub ({unreachable}): check the network{self._hint}")
        import datasets  # heavy, and needed only for hub data

        try:
            rows = datasets.load_dataset(self.hub_id, self.config, split=self.split, revision=self.revision)
            return [row for row in rows if all(row.get(name) == value for name, value in self.hub_where.items())]
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise UserError(f"cannot load {self.hub_id} from the hub ({reason}): check the network{self._hint}") from error

    @property
    def _hint(self) -> str:
        return f" or set data_root to the folder that holds {self.file}" if self.file else ""
