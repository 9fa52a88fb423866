"""The run folder: everything that a cell has, in files that describe themselves.

    results/<experiment>/<backbone>/<task>/<condition>/<prompt>-seed<k>/
      config.yaml        what was asked for, resolved
      manifest.json      what ran: commit, versions, hardware, hashes, engine, decoder, times
      requests.jsonl     what the model is shown, item by item; rewritten by each plan
      generations.jsonl  what the model said (`journal.py`)
      rows.parquet       derived: can be rebuilt from the two files above without a model (`rows.py`)
      run.log            one line an event
      mass-<decoder>.jsonl, mass.parquet, spelling.parquet, commitment.jsonl, commitment.parquet
                         what probes found (`experiments.lockin`)

The path is made of content, so the same command lands in the same place, and resuming is running it again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import Timeout

from fmtbench.errors import LockedError, UserError
from fmtbench.store.files import append_to, sweep, write_text
from fmtbench.store.journal import Journal, Lines
from fmtbench.store.lock import FolderLock
from fmtbench.store.manifest import misshapen
from fmtbench.store.rows import count_rows, write_rows
from fmtbench.types import IDENTITY, Constraint, Generation, Item, Message, Request, Row, Thinking

logger = logging.getLogger(__name__)

FILES = ("config.yaml", "manifest.json", "requests.jsonl", "generations.jsonl", "rows.parquet", "run.log", ".lock")
CHECKSUM = "sha256"
"""The manifest's key for its own checksum."""
REBUILT = "run the command of this folder again, which writes it anew from the plan; no reply is lost"
ITEM_FIELDS = tuple(field.name for field in fields(Item))
NAME = re.compile(r"[A-Za-z0-9][\w.+-]{0,80}")


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One request of a cell, and the item that it asks about."""

    item: Item
    sample: int
    request: Request
    after: str = ""
    """Key of the first pass, whose reply a second pass converts; empty for a first pass."""


def cell_path(results: Path, *parts: str) -> Path:
    """The folder of a cell. Every part is checked, so that no name can lead out of the results folder."""
    for part in parts:
        if not NAME.fullmatch(part):
            raise UserError(
                f"{part!r} cannot be a folder name: use letters, digits and . _ + - (at most 80, the first a letter or digit)"
            )
    return results.joinpath(*parts)


class RunFolder:
    """One cell on disk. Reading needs no lock; writing happens inside `with folder:`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._named: set[str] = set()
        self._lock = FolderLock(path)
        self._journal = Journal(self._file("generations.jsonl"), self._name_damage)

    def __enter__(self) -> RunFolder:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._check_own_files()
            self._lock.acquire()
        except Timeout as error:
            raise LockedError(f"{self.path} is locked by another running process: wait for it, or set another name=") from error
        except OSError as error:
            raise UserError(
                f"cannot write to {self.path} ({error.strerror or error}): set results= to a folder you may write to"
            ) from error
        sweep(self.path, ".*.part-*")
        return self

    def _check_own_files(self) -> None:
        """Raises `UserError` for a link, as a folder from elsewhere may hold: what is written to it would land outside."""
        for name in FILES:
            if self._file(name).is_symlink():
                raise UserError(f"{self._file(name)} is a symbolic link, and would be written through: put the file itself there")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._journal.close()
        finally:
            self._lock.release()

    # -- the journal

    def append(self, generation: Generation) -> None:
        """Write one generation; from here on it survives a kill."""
        self._journal.append(generation)

    def generations(self) -> Iterator[Generation]:
        """Every undamaged generation in the journal."""
        return self._journal.generations()

    def done(self, stands: Callable[[Generation], bool] = lambda error: True) -> set[str]:
        """Keys of the journal's results, and of the errors that stand."""
        return self._journal.keys(stands)

    def lines(self, name: str) -> Lines:
        """The records of a probe, in a file of their own; writing needs the folder's lock. Raises `UserError` for a link."""
        if self._file(name).is_symlink():
            raise UserError(f"{self._file(name)} is a symbolic link, and would be written through: put the file itself there")
        return Lines(self._file(name), self._name_damage)

    # -- what is rewritten as a whole

    def write_requests(self, planned: Sequence[Planned]) -> None:
        lines = (json.dumps(_record(one), ensure_ascii=False) + "\n" for one in planned)
        self._write("requests.jsonl", "".join(lines))

    def requests(self) -> list[Planned]:
        """What was planned last; of a barred cell maybe nothing. Raises `UserError` if another has nothing, or it is torn."""
        path = self._file("requests.jsonl")
        if not path.is_file():
            raise UserError(f"{self.path} holds no requests.jsonl: it is no run folder, or its run never started")
        with open(path, "rb") as lines:
            planned = [_planned(path, number, line) for number, line in enumerate(lines, start=1)]
        if not planned and not why_barred(self.manifest()):
            raise UserError(f"{path} is empty: {REBUILT}")
        return planned

    def write_config(self, text: str) -> None:
        self._write("config.yaml", text)

    def write_manifest(self, facts: dict[str, Any]) -> None:
        """Write it with a checksum of everything else in it, which `experiments.audit` compares."""
        self._write("manifest.json", json.dumps(facts | {CHECKSUM: checksum(facts)}, indent=2, ensure_ascii=False) + "\n")

    def manifest(self) -> dict[str, Any]:
        """The manifest; empty if there is none, or if it is torn, which is then logged."""
        path = self._file("manifest.json")
        if not path.exists():
            return {}
        try:
            found = json.loads(path.read_bytes()) if path.is_file() else None  # a pipe would keep its reader for ever
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict) and not misshapen(found):
            return found
        self._name_damage("manifest.json is damaged and is not used; the run writes it anew")
        return {}

    def write_rows(self, rows: Sequence[Row]) -> None:
        write_rows(self._file("rows.parquet"), rows)

    def count_rows(self) -> int:
        """The number of rows that are there now; 0 if the file is absent or damaged."""
        return count_rows(self._file("rows.parquet"))

    def log(self, line: str) -> None:
        if self.path.is_dir() and os.access(self.path, os.W_OK):
            told = f"{datetime.now(UTC).isoformat(timespec='seconds')} {line}\n".encode("utf-8", "backslashreplace")
            append_to(self._file("run.log"), told)

    def _name_damage(self, line: str) -> None:
        self.log(line)
        if line not in self._named:
            self._named.add(line)
            logger.warning("%s: %s", self.path, line)

    def _file(self, name: str) -> Path:
        return self.path / name

    def _write(self, name: str, text: str) -> None:
        write_text(self._file(name), text)


def checksum(facts: Mapping[str, Any]) -> str:
    """sha256 over everything in a manifest except the checksum itself."""
    rest = json.loads(json.dumps({name: value for name, value in facts.items() if name != CHECKSUM}))
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def why_barred(manifest: Mapping[str, Any]) -> str:
    """Why a cell could not run, according to its manifest; empty if it could. Version 0.1 called it `refused`."""
    return str(manifest.get("barred") or manifest.get("refused") or "")


def find_folders(root: Path) -> list[RunFolder]:
    """Every run folder under a path, in order. Raises `UserError` if there is none."""
    found = sorted(path.parent for path in root.rglob("requests.jsonl")) if root.is_dir() else []
    if not found:
        raise UserError(f"{root} holds no run folder: give the results folder of an experiment, such as results/quickstart")
    return [RunFolder(path) for path in found]


def _record(one: Planned) -> dict[str, Any]:
    item = {name: getattr(one.item, name) for name in ITEM_FIELDS if name != "stratum" or one.item.stratum}
    return {
        "key": one.request.key,
        "item": item,
        "sample": one.sample,
        "request": one.request.as_dict(),
        "after": one.after,
    }


def _planned(path: Path, number: int, line: bytes) -> Planned:
    try:
        return planned_of(json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path}, line {number}, is damaged ({type(error).__name__}): {REBUILT}") from error


def planned_of(record: dict[str, Any]) -> Planned:
    """What a line of requests.jsonl describes. Raises `KeyError`, `TypeError` and the like for one that is not ours."""
    item, request = record["item"], dict(record["request"])
    held, identity = request.pop("constraint"), request.pop(IDENTITY)
    constraint = Constraint(**held) if held else None
    thought = request.pop("thinking", None)
    thinking = Thinking(**thought) if thought else None
    messages = tuple(Message(**message) for message in request.pop("messages"))
    return Planned(
        item=Item(**{**item, "aliases": tuple(item["aliases"]), "choices": tuple(item["choices"])}),
        sample=record["sample"],
        after=record["after"],
        request=Request(**request, messages=messages, constraint=constraint, identity=identity, thinking=thinking),
    )
