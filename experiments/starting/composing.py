"""Makes Hydra compose several times as fast, with the same result (`tests/test_composing.py`).

By default it composes a command's config twice, the first time only for `hydra.mode`, which no YAML of ours sets; it reads every
file with PyYAML's pure-Python parser; and it copies its store of typed configs, all of ours included, at each lookup.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import yaml
from hydra._internal.hydra import Hydra
from hydra.core.config_store import ConfigStore
from omegaconf import _utils
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from fmtbench.presets import CONF

OURS = {"pkg://hydra.conf", str(CONF), "structured://"}
"""Where options come from, unless the user adds a folder or another package brings a plugin. None of these set `hydra.mode`."""
slow_loader, slow_mode = _utils.get_yaml_loader, Hydra.get_mode


def hasten() -> None:
    """Patch Hydra and OmegaConf in this process."""
    Hydra.get_mode = _mode
    # The store is a singleton that hands out copies of what it holds.
    ConfigStore.__deepcopy__ = lambda store, _: store
    if hasattr(yaml, "CSafeLoader"):
        _utils.get_yaml_loader = quick_loader


@cache
def quick_loader() -> Any:
    """OmegaConf's loader, with its rules for numbers and repeated keys, on the C parser."""

    class Loader(yaml.cyaml.CParser, slow_loader()):  # type: ignore[misc]
        def __init__(self, stream: Any) -> None:
            yaml.cyaml.CParser.__init__(self, stream)
            SafeConstructor.__init__(self)
            Resolver.__init__(self)

    return Loader


def _mode(hydra: Hydra, config_name: str | None, overrides: list[str]) -> Any:
    """The value of `hydra.mode`; None if nothing can set it, so that Hydra goes by the flag."""
    places = {one.path for one in hydra.config_loader.get_search_path().get_path()}
    if places <= OURS and not any(word.lstrip("+~").startswith(("hydra.mode", "hydra.searchpath")) for word in overrides):
        return None
    return slow_mode(hydra, config_name, overrides)
