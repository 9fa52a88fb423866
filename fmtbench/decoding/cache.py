"""Compiled grammars on disk: one file each, written in one step, with a checksum; a damaged file counts as absent."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from fmtbench.errors import UserError


class Cache:
    """Files under one folder. A file is a line of JSON (facts and checksum) and the bytes of the compiled form."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, kind: str, name: str) -> Path:
        return self._folder / kind / name

    def read(self, path: Path) -> tuple[dict[str, Any], bytes] | None:
        """Facts and bytes, or None if there is no undamaged file."""
        try:
            head, _, stored = path.read_bytes().partition(b"\n")
            facts: dict[str, Any] = json.loads(head)
            if facts.pop("sha256") == hashlib.sha256(stored).hexdigest():
                return facts, stored
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            pass
        return None

    def write(self, path: Path, facts: dict[str, Any], stored: bytes) -> None:
        head = json.dumps(facts | {"sha256": hashlib.sha256(stored).hexdigest()})
        self.write_plain(path, head.encode() + b"\n" + stored)

    def write_plain(self, path: Path, content: bytes) -> None:
        """Write all of it or nothing, even if two processes write the same file."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as part:
                part.write(content)
            os.replace(part.name, path)
        except OSError as error:
            raise UserError(
                f"cannot write to {path.parent} ({error.strerror}): set FMTBENCH_CACHE to a folder you may write to"
            ) from error
