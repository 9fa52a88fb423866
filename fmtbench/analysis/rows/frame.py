"""Rows as one checked data frame: every column is present, no measurement occurs twice, and nothing incomparable is compared.

    rows = load_rows("results/quickstart")
    rows = load_rows(["results/first", "results/second"])

A folder that holds nothing but `rows.parquet` files is enough. Where a `manifest.json` lies beside one, as in every folder
that fmtbench writes, it says how the rows were made, and `comparable` raises where differently made rows would be compared.
A packed study (`analysis.rows.packed`) is read like the results folder it was made from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fmtbench.analysis.rows.columns import UNREAD, check_columns
from fmtbench.analysis.rows.manifest import read_manifest
from fmtbench.analysis.rows.packed import CELLS, unpack
from fmtbench.analysis.rows.probed import with_mass
from fmtbench.errors import UserError
from fmtbench.store.rows import VERSION_KEY
from fmtbench.types import OPTIONAL, RERUN, ROWS_VERSION

KEY = ["backbone", "task", "condition", "prompt", "seed", "sample", "item_id"]
"""What identifies a measurement: two rows with the same key are one measurement, repeated."""


class DuplicateError(UserError):
    """A measurement occurs twice, so no table can be made until one of its files is left out."""


class EmptyError(UserError):
    """There are files, but they hold no rows."""


class RowsFile(NamedTuple):
    """One file of rows, or one cell of a packed file, and what is known of how it was made."""

    path: Path
    rows: pd.DataFrame
    manifest: dict[str, Any]
    """Empty if the file came alone."""
    packed: dict[str, Any] | None = None
    """The config of a cell from a pack, whose cells share one file; None otherwise, and the config may lie beside the file."""


class FoundRows(NamedTuple):
    """What could be read, and one line for each file that could not."""

    files: list[RowsFile]
    complaints: list[str]


def load_rows(roots: Path | str | Iterable[Path | str], *, mixed: bool = False) -> pd.DataFrame:
    """All rows under one or more results folders, one line for each scored generation, with the columns of `types.Row`.

    Raises `UserError` where a file is damaged, a column is absent, a measurement occurs twice, or (unless `mixed`) rows
    that would be compared were made with other sampling, items or decoder.
    """
    found = load_files(roots)
    if found.complaints:
        raise UserError("; ".join(found.complaints))
    return join(found.files, mixed=mixed)


def load_files(roots: Path | str | Iterable[Path | str], *, slim: bool = False) -> FoundRows:
    """Every file by itself. A damaged one becomes a complaint, so that the caller decides whether to go on without it.

    `slim` leaves out the columns that no table reads, which are the bulk of a file.
    """
    found = FoundRows([], [])
    for path in find_rows([roots] if isinstance(roots, str | Path) else list(roots)):
        try:
            found.files.extend(read_file(path, slim=slim))
        except UserError as error:
            found.complaints.append(str(error))
    return found if _sound(found.files, slim) else _checked(found, slim)


def _sound(files: list[RowsFile], slim: bool) -> bool:
    """Whether all files together pass the checks, which takes a fraction of the time of checking a thousand one by one. They
    have the same columns, so that none lacks what the others have, and rows."""
    columns = {tuple(sorted(one.rows.columns.difference(OPTIONAL))) for one in files}
    if len(columns) != 1 or not all(len(one.rows) for one in files):
        return False
    try:
        check_columns(pd.concat([one.rows for one in files], ignore_index=True), "", without=UNREAD if slim else ())
    except UserError:
        return False
    return True


def _checked(found: FoundRows, slim: bool) -> FoundRows:
    """The sound files, and a complaint for each of the others."""
    checked = FoundRows([], list(found.complaints))
    for one in found.files:
        try:
            check_columns(one.rows, str(one.path), without=UNREAD if slim else ())
        except UserError as error:
            checked.complaints.append(str(error))
        else:
            checked.files.append(one)
    return checked


def read_file(path: Path, *, slim: bool = False) -> list[RowsFile]:
    """One file of rows, or the many cells of a packed one."""
    rows, cells = read_rows(path, slim=slim), path.with_name(CELLS)
    if cells.is_file():
        check_columns(rows, str(path), without=UNREAD if slim else ())
        return [RowsFile(path, *one) for one in unpack(rows, cells)]
    manifest = read_manifest(path.with_name("manifest.json"))
    return [RowsFile(path, rows if slim else with_mass(rows, path, manifest.get("decoder") or ()), manifest)]


def find_rows(roots: Iterable[Path | str]) -> list[Path]:
    """Every `rows.parquet` under the folders, in order; a path to a file is taken as it is."""
    found: dict[Path, None] = {}
    for root in map(Path, roots):
        files = [root] if root.is_file() else sorted(root.rglob("rows.parquet"))
        if not files:
            raise UserError(
                f"{root} holds no rows.parquet: run the experiment first, or give its folder, such as results/quickstart"
            )
        found |= dict.fromkeys(files)
    return list(found)


def read_rows(file: Path, *, slim: bool = False) -> pd.DataFrame:
    if not file.is_file():  # reading a pipe might never return
        raise UserError(f"{file} cannot be read as parquet (it is not a file): delete it, and score its folder again")
    try:
        with pq.ParquetFile(file) as parquet:
            _check_version(file, (parquet.schema_arrow.metadata or {}).get(VERSION_KEY))
            there = parquet.schema_arrow.names
            rows = parquet.read([name for name in there if not (slim and name in UNREAD)]).to_pandas()
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = (str(error).splitlines() or ["damaged"])[0]
        raise UserError(f"{file} cannot be read as parquet ({reason}): score its folder again, or delete the file") from error
    if absent := [name for name in UNREAD if slim and name not in (*there, *OPTIONAL)]:
        check_columns(rows, str(file), without=tuple(name for name in UNREAD if name not in absent))
    return rows


def _check_version(file: Path, version: bytes | None) -> None:
    """Raises `UserError` for rows of another version. Rows without a version are judged by their columns alone."""
    if version is not None and version != str(ROWS_VERSION).encode():
        got = version.decode("utf-8", "replace")
        raise UserError(
            f"{file} holds rows of version {got}, this fmtbench reads version {ROWS_VERSION}: score its folder again "
            "(python -m experiments.score), or read it with the fmtbench that wrote it"
        )


def check_rows(rows: pd.DataFrame, name: str = "these rows") -> pd.DataFrame:
    """Returns the frame itself. Raises `UserError` where a column that tables read is absent or holds what it must not."""
    check_columns(rows, name, without=UNREAD)
    return rows


def join(files: list[RowsFile], *, mixed: bool = False) -> pd.DataFrame:
    """One frame of all rows. Raises `UserError` where `duplicates` or `comparable` finds something."""
    filled = [one.rows for one in files if len(one.rows)]
    if not filled:
        raise EmptyError("there are no rows: the run has not finished a single item yet")
    if not mixed:
        comparable(files)
    rows = pd.concat(filled, ignore_index=True)
    if rows.duplicated(KEY).any():
        raise DuplicateError("; ".join(duplicates(files).values()))
    return rows


def compact(rows: pd.DataFrame) -> pd.DataFrame:
    """The same rows with repeated names as categories: a tenth of the memory, and grouping needs no string comparison."""
    names = ["backbone", "task", "condition", "prompt", "item_id", "status", "gold", "answer", "finish_reason"]
    return rows.assign(**{name: rows[name].astype("category") for name in names})


def duplicates(files: list[RowsFile]) -> dict[Path, str]:
    """The files that repeat a measurement, with one line each."""
    keys = pd.concat([one.rows[KEY] for one in files], ignore_index=True)
    paths = np.repeat([str(one.path) for one in files], [len(one.rows) for one in files])
    again = keys.duplicated(KEY).to_numpy()
    lines = {}
    for path, group in keys[again].groupby(paths[again]):
        example = ", ".join(f"{name}={group.iloc[0][name]}" for name in KEY)
        lines[Path(path)] = f"{path} holds {len(group)} rows whose keys occur before ({example}): load one run of a cell only"
    return lines


def without_repeats(files: list[RowsFile], first: bool) -> list[RowsFile]:
    """The files with the first row of each measurement, if that is what is wanted. Raises `UserError` where it is not, and a
    file repeats itself: unlike a file that repeats another, it cannot be left out without losing a cell."""
    if first:
        again = pd.concat([one.rows[KEY] for one in files], ignore_index=True).duplicated(KEY).to_numpy()
        parts = np.split(again, np.cumsum([len(one.rows) for one in files])[:-1])
        return [one._replace(rows=one.rows[~repeats]) for one, repeats in zip(files, parts)]
    for one in files:
        if (again := one.rows.duplicated(KEY)).any():
            line = one.rows[again.to_numpy()].iloc[0]
            example = ", ".join(f"{name}={line[name]}" for name in KEY)
            raise UserError(
                f"{one.path} holds {int(again.sum())} rows whose keys occur before in the same file ({example}): score its "
                "folder again, or let the first row of each count with duplicates=first"
            )
    return files


def comparable(files: list[RowsFile]) -> None:
    """Raises `UserError`, naming the values and files, if rows of one backbone and task were made differently."""
    for (backbone, task), group in _by_task(files).items():
        for name, values in _facts(group).items():
            if len(values) > 1:
                shown = "; ".join(f"{value} in {where}" for value, where in values.items())
                raise UserError(f"{backbone}/{task}: {name} differs ({shown}): compare runs that share it, or pass mixed=true")


def _by_task(files: list[RowsFile]) -> dict[tuple[str, str], list[RowsFile]]:
    groups = defaultdict(list)
    for one in files:
        if one.manifest and len(one.rows):
            first = one.rows.iloc[0]
            groups[str(first.backbone), str(first.task)].append(one)
    return groups


def _facts(group: list[RowsFile]) -> dict[str, dict[str, Path]]:
    """For each fact that must agree, its values, and one file that has each. Items depend on the seed that drew them; what was
    run again has fewer of them, and more tokens."""
    facts: dict[str, dict[str, Path]] = defaultdict(dict)
    for one in group:
        manifest, file = one.manifest, one.path
        again = str(one.rows["condition"].iloc[0]).endswith(RERUN)
        for name, value in manifest.get("sampling", {}).items():
            if not (again and name == "max_tokens"):
                facts[f"sampling.{name}"].setdefault(str(value), file)
        if (found := manifest.get("items_sha256")) and not again:
            facts[f"the hash of the items (seed {manifest.get('seed')})"].setdefault(str(found)[:12], file)
        for decoder in manifest.get("decoder", []):
            if decoder != "none":
                facts["the decoder"].setdefault(str(decoder), file)
    return facts
