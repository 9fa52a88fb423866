"""rows.parquet: scored rows, with a version, and with the types of `Row` even if there are no rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from fmtbench.store.files import replacing
from fmtbench.types import OPTIONAL, ROWS_VERSION, Row, Status

if TYPE_CHECKING:
    import pyarrow as pa

VERSION_KEY = b"fmtbench.rows"
"""The key in a rows.parquet's metadata for the version of its rows."""


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as parquet. A column of nulls keeps its type; an optional column without any value is left out."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with replacing(path) as part:
        said = [name for name in OPTIONAL if any(getattr(row, name) for row in rows)]
        pq.write_table(pa.Table.from_pylist([row.as_dict() for row in rows], schema=rows_schema(said)), part)


@contextmanager
def rows_writer(path: Path, columns: Mapping[str, str]) -> Iterator[Callable[[Sequence[Mapping[str, Any]]], None]]:
    """Writes rows as parquet a few at a time, so that only these are in memory. `columns`: further ones, with their types.

    with rows_writer(path, {"ladder_step": "string"}) as write:
        write(rows)
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = rows_schema(OPTIONAL)
    for name, kind in columns.items():
        schema = schema.append(pa.field(name, pa.type_for_alias(kind)))
    with replacing(path) as part, pq.ParquetWriter(part, schema) as file:
        yield lambda rows: file.write_table(pa.Table.from_pylist(list(rows), schema=schema))


def count_rows(path: Path) -> int:
    """The number of rows, from the file's footer alone; 0 if it is absent or damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        return 0
    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, pa.ArrowException):
        return 0


def rows_schema(optional: Sequence[str] = ()) -> pa.Schema:
    """The schema of a `rows.parquet` with its version, and with these of the optional columns."""
    import pyarrow as pa

    types: dict[Any, pa.DataType] = {
        str: pa.string(),
        str | None: pa.string(),
        Status: pa.string(),
        int: pa.int64(),
        int | None: pa.int64(),
        bool: pa.bool_(),
        float: pa.float64(),
    }
    columns = [(name, types[hint]) for name, hint in get_type_hints(Row).items() if name not in OPTIONAL or name in optional]
    return pa.schema(columns, metadata={VERSION_KEY: str(ROWS_VERSION)})
