"""Hydra composes in half the time: YAML is read by the parser in C, and nothing is composed to ask for a mode that no YAML sets.

Hydra composes a command's config twice, the first time for `hydra.mode` alone, and has every file read by PyYAML's parser in
Python. What it composes is the same either way (`tests/test_composing.py`).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import yaml
from hydra._internal.hydra import Hydra
from omegaconf import _utils
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from fmtbench.presets import CONF

OURS = {"pkg://hydra.conf", str(CONF), "structured://"}
"""Where options come from, unless the user adds a folder or another package brings a plugin. None of it sets `hydra.mode`."""
slow_loader, slow_mode = _utils.get_yaml_loader, Hydra.get_mode


def hasten() -> None:
    """Have Hydra and OmegaConf do so in this process."""
    Hydra.get_mode = _mode  # type: ignore[method-assign]
    if hasattr(yaml, "CSafeLoader"):
        _utils.get_yaml_loader = quick_loader


@cache
def quick_loader() -> Any:
    """OmegaConf's loader with its rules on numbers and repeated keys, on the parser in C."""

    class Loader(yaml.cyaml.CParser, slow_loader()):  # type: ignore[misc]
        def __init__(self, stream: Any) -> None:
            yaml.cyaml.CParser.__init__(self, stream)
            SafeConstructor.__init__(self)
            Resolver.__init__(self)

    return Loader


def _mode(hydra: Hydra, config_name: str | None, overrides: list[str]) -> Any:
    """What `hydra.mode` is; None where nothing can set it, and Hydra goes by the flag."""
    places = {one.path for one in hydra.config_loader.get_search_path().get_path()}
    if places <= OURS and not any(word.lstrip("+~").startswith(("hydra.mode", "hydra.searchpath")) for word in overrides):
        return None
    return slow_mode(hydra, config_name, overrides)
