"""The published studies in conf/experiment, one section each: what the study asks and what differs here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from fmtbench.presets import CONF

from .markdown import comments, table


def studies() -> str:
    """The sections, ordered by the paper's year, then by name."""
    found = [(path, yaml.safe_load(path.read_text(encoding="utf-8"))) for path in sorted((CONF / "experiment").glob("*.yaml"))]
    repeating = [(path, settings) for path, settings in found if "repeats" in settings]
    return "\n".join(_section(path, settings) for path, settings in sorted(repeating, key=_year))


def _year(study: tuple[Path, dict[str, Any]]) -> str:
    return next(word for word in str(study[1]["repeats"]["paper"]).replace(",", "").split() if word.isdigit())


def _section(path: Path, settings: dict[str, Any]) -> str:
    said = " ".join(line for line in comments(path) if not line.startswith("python -m"))
    repeats = settings["repeats"]
    differs = "".join(f"- {line}\n" for line in repeats["differs"])
    return f"## {path.stem}\n\n{said} Repeats {repeats['paper']}.\n\n{_table(settings)}\nWhat differs:\n\n{differs}"


def _table(settings: dict[str, Any]) -> str:
    chosen = {key.split("/")[1]: names for entry in settings["defaults"] for key, names in entry.items()}
    own = [f"{name}: {level}" for name, levels in settings.get("condition", {}).items() for level in _said(levels)]
    limits = [f"{task}: the first {count:,}" for task, count in settings.get("limit_of", {}).items()]
    sampling = settings["sampling"]
    lines = [
        ("tasks", _code(chosen["task"])),
        ("conditions", _code(chosen["condition"])),
        ("their settings", "; ".join(own)),
        ("prompts", _code(chosen["prompt"])),
        ("items", "; ".join(limits)),
        ("sampling", f"temperature {sampling['temperature']:g}, {_tokens(sampling['max_tokens'])}"),
        ("published accuracies", ", ".join(settings["repeats"]["published"]) or "none of a single cell"),
    ]
    return table(("", ""), [line for line in lines if line[1]])


def _code(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _said(levels: dict[str, Any]) -> list[str]:
    return [f"{name}: {value}" for name, value in levels.items()]


def _tokens(limit: int | str) -> str:
    """`${tokens_within:4096,...}` is 4096, or half of a small context."""
    if isinstance(limit, int):
        return f"{limit:,} tokens"
    return f"{int(limit.partition(':')[2].partition(',')[0]):,} tokens, or half of a smaller context"
