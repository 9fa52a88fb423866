"""The error for a disk that is full or fails, and a guard around libraries that write files themselves.

    with saving(folder):
        model.save_pretrained(folder)

What fmtbench writes itself goes through `fmtbench.store.files`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fmtbench.errors import StorageError

OF_THE_SYSTEM = "os error"
"""Stands in the errors of safetensors and tokenizers, which are written in Rust and raise no OSError."""


def unwritten(path: Path, error: Exception, needed: str) -> StorageError:
    """The error for a file that cannot be written."""
    number = error.errno if isinstance(error, OSError) else None
    reason = os.strerror(number) if number else " ".join(str(error).split())
    return StorageError(
        f"cannot write {path} ({reason}): {needed}; what was written before is kept: make room and repeat the command"
    )


@contextmanager
def saving(path: Path) -> Iterator[None]:
    """Raises `StorageError` if a library cannot write to `path` or below it."""
    try:
        yield
    except Exception as error:  # tokenizers raises nothing narrower; errors that are not the disk's are raised unchanged
        if isinstance(error, OSError) or OF_THE_SYSTEM in str(error):
            raise unwritten(path, error, "more bytes are needed than it takes") from error
        raise
