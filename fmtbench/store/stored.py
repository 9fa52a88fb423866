"""config.yaml as it is read back: plain data, whoever wrote it. Nothing in it is resolved, expanded or executed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from fmtbench.errors import UserError

MOST_BYTES = 16 * 2**20
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The C loader is ten times as fast, which matters for studies of a thousand cells."""


def parsed(text: str) -> Any:
    """The data in a YAML text. Raises `yaml.YAMLError`."""
    return yaml.load(text, LOADER)


def read_config(path: Path) -> dict[str, Any]:
    """The config of a cell; empty if there is none. Raises `UserError` if it is not one that fmtbench writes."""
    if not path.is_file():
        return {}
    if path.stat().st_size > MOST_BYTES:
        raise UserError(f"{path} has {path.stat().st_size} bytes, and a config at most {MOST_BYTES}: it is none of fmtbench's")
    try:
        text = path.read_text(encoding="utf-8")
        if "*" in text and any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, LOADER)):
            raise UserError(f"{path} holds YAML aliases, which fmtbench never writes and which can unfold without end: delete it")
        config = parsed(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        reason = (str(error).splitlines() or ["too deep"])[0]
        raise UserError(f"{path} is not YAML ({reason}): mend it, or delete it") from error
    config = config if isinstance(config, dict) else {}
    if wrong := misshapen_config(config):
        raise UserError(f"{path} is not fmtbench's ({wrong}): mend it, or delete it")
    return config


def misshapen_config(config: dict[str, Any]) -> str:
    """What is wrong with the shape of a config; empty if nothing is. Its options are checked when they are built."""
    for group in ("task", "condition", "prompt"):
        options = config.get(group) or {}
        if not isinstance(options, dict) or not all(isinstance(one, dict) for one in options.values()):
            return f"{group} must be a mapping of names to settings, got {str(options)[:60]!r}"
    planned = config.get("planned") or []
    return "" if isinstance(planned, list) else f"planned must be a list, got {str(planned)[:60]!r}"
