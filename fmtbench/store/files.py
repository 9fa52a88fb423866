"""Writing a file as a whole, or not at all, so that neither a kill, a power cut nor a full disk leaves half of one."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import TracebackType
from typing import BinaryIO

from fmtbench.errors import StorageError, UserError
from fmtbench.saving import unwritten

OLD_SECONDS = 3600.0
"""Seconds: a part that was not written to for this long was left behind by a kill."""


class replacing:
    """`with replacing(path) as part:` write to `part`; it takes the place of `path` when the block ends well.

    The bytes are on the disk before the name is, and the name is before the block has ended. Raises `StorageError` where the
    disk is full or fails; the former file is then as it was.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = path.with_name(f".{path.name}.part-{os.getpid()}")

    def __enter__(self) -> Path:
        sweep(self.path.parent, f".{self.path.name}.part-*", older=OLD_SECONDS)
        with suppress(OSError):
            self.part.unlink(missing_ok=True)  # our own, or a planted link that would lead elsewhere
        return self.part

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            try:
                _settle(self.part)
                os.replace(self.part, self.path)
                settle_names(self.path.parent)
            except OSError as fault:
                error = fault
        if isinstance(error, OSError):
            raise self._given_up(error) from error
        if error is not None:
            self._remove()

    def _given_up(self, error: OSError) -> StorageError:
        with suppress(OSError):
            written = self.part.stat().st_size
            self._remove()
            return unwritten(self.path, error, f"more than {written} bytes are needed")
        return unwritten(self.path, error, "no byte could be written")

    def _remove(self) -> None:
        with suppress(OSError):
            self.part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8. Half a character pair, which UTF-8 cannot express, becomes its escape."""
    content = text.encode("utf-8", "backslashreplace")
    with replacing(path) as part:
        try:
            part.write_bytes(content)
        except OSError as error:
            raise unwritten(path, error, f"{len(content)} bytes are needed") from error


def append_to(path: Path, content: bytes) -> None:
    """Append all of it to a file, or nothing. Raises `StorageError`."""
    try:
        file = open(path, "ab", buffering=0)  # noqa: SIM115
    except OSError as error:
        raise unwritten(path, error, f"{len(content)} more bytes are needed") from error
    with file:
        append_whole(file, content, path)


def append_whole(file: BinaryIO, content: bytes, path: Path) -> None:
    """Write all of it to an unbuffered file, which may take only part of it at a time. Raises `StorageError`."""
    left = memoryview(content)
    try:
        while left:
            left = left[file.write(left) :]
    except OSError as error:
        with suppress(OSError):
            file.truncate(file.seek(0, os.SEEK_END) - (len(content) - len(left)))
        raise unwritten(path, error, f"{len(content)} more bytes are needed") from error


def sweep(folder: Path, pattern: str, older: float = 0.0) -> None:
    """Remove the parts that kills have left: those not written to for `older` seconds, by the disk's clock."""
    parts = list(folder.glob(pattern))
    now = _clock(folder) if parts and older else 0.0
    for part in parts:
        with suppress(OSError):
            if not older or now - part.lstat().st_mtime >= older:
                part.unlink()


def _clock(folder: Path) -> float:
    """The time that files get here, which is not this machine's on a network disk. 0 if nothing can be written."""
    with suppress(OSError), NamedTemporaryFile(dir=folder, prefix=".clock-") as file:
        return os.stat(file.name).st_mtime
    return 0.0


def _settle(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def settle_names(folder: Path) -> None:
    """Sync a folder, which not every file system can do."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def writable(folder: Path) -> Path:
    """The folder, created if need be. Raises `UserError` if that is not allowed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {folder} ({error.strerror}): give a folder you may write to") from error
    if not os.access(folder, os.W_OK):
        raise UserError(f"cannot write to {folder}: give a folder you may write to")
    return folder
