"""The groups of conf/ that have no table elsewhere, with each option's own comment."""

from __future__ import annotations

from pathlib import Path

import yaml

from fmtbench.presets import CONF

from .markdown import comments, natural, table

ELSEWHERE = ("condition", "task")


def groups() -> str:
    """One section per group."""
    folders = sorted({path.parent for path in CONF.rglob("*.yaml")} - {CONF})
    names = [(folder, folder.relative_to(CONF).as_posix()) for folder in folders]
    return "\n".join(f"## {name}\n\n{_options(folder)}" for folder, name in names if name not in ELSEWHERE)


def _options(folder: Path) -> str:
    lines = [(f"`{path.stem}`", _said(path)) for path in sorted(folder.glob("*.yaml"), key=natural)]
    return table(("option", "what it is"), lines)


def _said(path: Path) -> str:
    """The comment at the top; without one, a table's caption, or else what the YAML builds."""
    said = [line for line in comments(path) if not line.startswith("python -m")]
    if said:
        return " ".join(said)
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    node = settings.get(path.stem, settings)
    node = node if isinstance(node, dict) else settings
    return " ".join(str(node.get("caption") or _target(node)).split())


def _target(node: dict[str, object]) -> str:
    return f"`{node['_target_']}`" if "_target_" in node else ", ".join(f"{name}: {value}" for name, value in node.items())
