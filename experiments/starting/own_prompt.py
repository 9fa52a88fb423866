"""The user's own prompt: `prompt=file prompt.file.path=my_prompt.yaml`.

The file gives the fields that differ from `conf/prompt/plain.yaml`, or a whole chat as `messages`. Its contents go into the
config, which is stored with the results, so that scoring them again reads no file that may have changed.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf, open_dict

from fmtbench.conditions.prompt import Prompt
from fmtbench.errors import UserError
from fmtbench.presets import CONF, nearest

NAME = "file"
MOST_BYTES = 1_000_000


def fill_prompt(config: DictConfig) -> None:
    """Put the contents of the user's file into the config. Raises `UserError` for a file that is not a prompt."""
    node = (config.get("prompt") or {}).get(NAME)
    if node is None or "path" not in node:
        return
    settings: Any = OmegaConf.to_container(node)
    path = settings.pop("path")
    if path is None and settings == _as_given():
        raise UserError(f'prompt={NAME}: give prompt.{NAME}.path=FILE, or a field such as prompt.{NAME}.role="You are a clerk."')
    with open_dict(config):
        config.prompt[NAME] = settings | ({} if path is None else _read(str(path)))


def _as_given() -> dict[str, Any]:
    found = yaml.safe_load((CONF / "prompt" / f"{NAME}.yaml").read_text(encoding="utf-8"))[NAME]
    return {name: value for name, value in found.items() if name != "path"}


def _read(path: str) -> dict[str, Any]:
    named, file = f"prompt.{NAME}.path={path}", Path(path).expanduser()
    if not file.is_file():
        raise UserError(f"{named}: there is no such file; a relative path starts in the current folder")
    if (size := file.stat().st_size) > MOST_BYTES:
        raise UserError(f"{named} has {size} bytes, at most {MOST_BYTES}: it is no prompt")
    try:
        text = file.read_text(encoding="utf-8-sig")
        found = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{named} is neither YAML nor JSON: {' '.join(str(error).split())[:200]}") from error
    if "${" in text:
        raise UserError(f"{named} holds ${{, which stands for another key in a config: write the prompt without it")
    return _known({"messages": found} if isinstance(found, list) else found, named)


def _known(found: Any, named: str) -> dict[str, Any]:
    allowed = [field.name for field in fields(Prompt)]
    if not isinstance(found, dict) or not found:
        raise UserError(f"{named} holds a {type(found).__name__}: give some of {', '.join(allowed)}, or a list of messages")
    for name in found:
        if name not in allowed:
            raise UserError(
                f"{named}: {name} is no field of a prompt: {nearest(str(name), allowed)}allowed are {', '.join(allowed)}"
            )
    return found
