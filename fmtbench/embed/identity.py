"""Hashes of everything that determines an encoder's vectors."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from fmtbench.errors import UserError

SUFFIXES = (".json", ".safetensors", ".bin", ".txt", ".model")


def file_hashes(folder: Path) -> list[tuple[str, str]]:
    """Name and sha256 of each file that matters, sorted. Raises `UserError` if there is no such folder."""
    if not folder.is_dir():
        raise UserError(f"adapter {folder} is no folder: give the folder that holds adapter_config.json")
    found = []
    for path in folder.rglob("*"):
        if path.suffix in SUFFIXES:
            with open(path, "rb") as stream:
                found.append((str(path.relative_to(folder)), hashlib.file_digest(stream, "sha256").hexdigest()))
    return sorted(found)


def sha256(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
