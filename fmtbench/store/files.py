"""Writing a file as a whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

from fmtbench.errors import UserError


class replacing:
    """`with replacing(path) as part:` write to `part`; it takes the place of `path` when the block ends well."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = path.with_name(f".{path.name}.part-{os.getpid()}")

    def __enter__(self) -> Path:
        return self.part

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            os.replace(self.part, self.path)
        else:
            self.part.unlink(missing_ok=True)


def writable(folder: Path) -> Path:
    """The folder, made if need be. Raises `UserError` where that is not allowed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {folder} ({error.strerror}): give a folder you may write to") from error
    if not os.access(folder, os.W_OK):
        raise UserError(f"cannot write to {folder}: give a folder you may write to")
    return folder
