"""Checks for every command, before any work, that the types cannot make: unknown keys, bounds, places to write to."""

from __future__ import annotations

import math
import os
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_type_hints

from omegaconf import DictConfig, OmegaConf

from fmtbench.errors import UserError
from fmtbench.presets import nearest

from .roots import ROOTS

LEAST = {
    **dict.fromkeys(("walks", "generations", "skip"), 0),
    **dict.fromkeys(("pairs", "rounds", "limit", "replies", "tasks", "triples", "attempts", "draws"), 1),
    **dict.fromkeys(("max_tokens", "shards", "pilot_items"), 1),
}
"""The smallest value of each count, in every command that has it."""
POSITIVE = ("compile.seconds", "compile.memory_gb")
NAMES = ("name", "backbone.name")


def check_added(name: str, key: str) -> None:
    """Raises `UserError` for a `+key=` that the command or its section lacks: Hydra would add it, and nothing would read it."""
    if not key.startswith("+") or re.search(r"[@/]", key):
        return
    first, _, rest = key.lstrip("+").partition(".")
    types = get_type_hints(ROOTS[name])
    if not rest and first not in {*types, "experiment"}:
        raise UserError(f"{key[1:]} is no key of {name}: {nearest(first, sorted(types))}see all keys with --cfg job")
    section = types.get(first)
    if rest and is_dataclass(section) and rest.partition(".")[0] not in (known := [field.name for field in fields(section)]):
        raise UserError(f"{key.lstrip('+')} is no key of {first}: {nearest(rest, known)}allowed are {', '.join(known)}")


def check_config(config: DictConfig) -> None:
    """Raises `UserError` for a value that would otherwise stop a command halfway."""
    for key, least in LEAST.items():
        value = config.get(key)
        if isinstance(value, int | float) and not value >= least:
            raise UserError(f"{key}={value}: give {'a number above 0' if least else 'a whole number, or 0 for none'}")
    for key in POSITIVE:
        value = OmegaConf.select(config, key)
        if value is not None and not 0 < value < math.inf:
            raise UserError(f"{key}={value}: give a number above 0")
    if config.get("results") == "":
        raise UserError("results=: give a folder, such as results=results")
    _check_names(config)
    _check_output(config)


def _check_names(config: DictConfig) -> None:
    for key in NAMES:
        group = key.partition(".")[0]
        optional = getattr(OmegaConf.get_type(config), group, "") is None
        if group in config and OmegaConf.select(config, group) is None and not optional:
            raise UserError(f"{group}=null: it cannot be left out")
        if "." in key and OmegaConf.is_dict(config.get(group)) and config[group].get("name") is None:
            raise UserError(f"{key}=null: give the name that the results folder has")


def _check_output(config: DictConfig) -> None:
    """A command that has nowhere to write fails at once, not after hours."""
    if not isinstance(output := config.get("output"), str):
        return
    place = Path(output)
    while not place.exists() and place != place.parent:
        place = place.parent
    if not os.access(place, os.W_OK) or _is_virtual(place):
        raise UserError(f"output={output}: cannot write below {place}: give a place that you may write to")


def _is_virtual(place: Path) -> bool:
    """Whether a folder belongs to the kernel: root seems to be allowed to write there."""
    return place.resolve().parts[:2] in (("/", "proc"), ("/", "sys"))
