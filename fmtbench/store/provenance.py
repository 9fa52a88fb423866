"""Where a result comes from: code, packages, machine, data."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fmtbench.types import Item

PACKAGES = (
    "fmtbench",
    "torch",
    "transformers",
    "tokenizers",
    "outlines",
    "outlines_core",
    "vllm",
    "pydantic",
    "hydra-core",
    "datasets",
    "sentence-transformers",
    "peft",
    "mteb",
)

GIT_SECONDS = 30.0
"""The longest wait for git: a disk that does not answer must not keep a run waiting."""


def provenance(items: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """The part that all manifests share, with the hash of what was asked or read, if given."""
    here = {"started": datetime.now(UTC).isoformat(timespec="seconds")} | deepcopy(_here())
    return here | ({} if items is None else {"items_sha256": _hash(items)})


@cache
def _here() -> dict[str, Any]:
    """What this process runs and on what, as of the first time: what is committed or installed later is not what it has loaded.
    A study of a thousand cells asks a thousand times, and git and the packages take a tenth of a second."""
    return {
        "code": _commit(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "python": platform.python_version(),
        "hardware": {"machine": platform.machine(), "system": platform.platform(), "cpus": os.cpu_count()},
    }


def items_hash(items: Iterable[Item]) -> str:
    """The hash of these items, each of which may be asked several times; strata are not part of it."""
    whole = map(asdict, dict.fromkeys(items))
    return _hash([{name: value for name, value in item.items() if name != "stratum"} for item in whole])


def _hash(items: list[dict[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(items, sort_keys=True).encode()).hexdigest()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> dict[str, Any] | None:
    """Commit and dirty flag of the checkout that this code runs from; None for an installed copy."""
    root = Path(__file__).resolve().parent.parent.parent
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_git(root, "status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    # Without a lock on the index: a kill would leave it in the user's checkout, and git would refuse to commit.
    words = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=GIT_SECONDS).stdout.strip()
