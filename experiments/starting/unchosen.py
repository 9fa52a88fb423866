"""Settings that an experiment has for options that the command line leaves out: `experiment=crane condition=[free_cot]`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from .conf import options

GRID = ("task", "condition", "prompt")


def leave_unchosen(config: DictConfig, words: Sequence[str]) -> None:
    """Drop settings of options that are not chosen. Those in the user's own `words` stay, and are reported as a mistake."""
    for group in GRID:
        nodes = config.get(group)
        for name in [name for name in nodes or () if _is_unchosen(nodes[name], group, str(name), words)]:
            with open_dict(nodes):
                del nodes[name]


def _is_unchosen(node: Any, group: str, name: str, words: Sequence[str]) -> bool:
    if not OmegaConf.is_dict(node) or "_target_" in node or name not in options(group):
        return False
    return not any(_names(word, group, name) for word in words)


def _names(word: str, group: str, name: str) -> bool:
    """Whether an argument chooses the option, or sets one of its keys."""
    key, _, value = word.lstrip("+~").partition("=")
    return key.startswith(f"{group}.{name}") or (key == group and name in re.split(r"[^\w.-]+", value))
