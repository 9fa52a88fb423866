"""One writer a run folder: a lock file, and the folder itself, so that a deleted lock file lets nobody in.

A lock belongs to an inode. Whoever deletes `.lock` under a running process makes room for another inode of that name, and so for
another writer; the folder's own inode stays as long as there is anything to protect.
"""

from __future__ import annotations

import fcntl
import logging
import os
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

logger = logging.getLogger(__name__)


class FolderLock:
    """Held by this process alone, until it is released or the process ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = FileLock(folder / ".lock", timeout=0)
        self._descriptor = -1

    def acquire(self) -> None:
        """Raises `filelock.Timeout` if another process holds it."""
        self._file.acquire()
        self._descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise Timeout(str(self._folder)) from None
        except OSError as error:  # some network file systems cannot lock folders: there the file alone is the lock
            logger.debug("%s is locked by its file alone: %s", self._folder, error)

    def release(self) -> None:
        """Releasing twice does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        with suppress(FileNotFoundError):
            self._file.release()
