"""Markdown tables, and the comments of YAML files that fill them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in rows)


def comments(path: Path) -> list[str]:
    """The comment lines at the top of a YAML file, without Hydra's `@package`."""
    said = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        said.append(line.removeprefix("#").strip())
    return [line for line in said if line and not line.startswith("@package")]


def natural(path: Path) -> list[str | int]:
    """A sort key that orders `_10`, `_25`, `_100` by number."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.stem)]
