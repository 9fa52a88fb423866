"""How many tokens a reply may have where nobody says: resolvers for `sampling.max_tokens` in conf/.

A reply that ends by itself costs nothing more under a generous limit, and a limit that cuts replies makes formats differ by
their length alone. A small model that rambles is another matter: the quickstart states what suits its own tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

GENEROUS = 1024
"""Tokens: more than free replies to GSM8K have, by a factor of four."""


def generous(context: Any) -> int:
    """`GENEROUS`, or half of a context that is smaller."""
    return within(GENEROUS, context)


def within(tokens: int, context: Any) -> int:
    """So many tokens, or half of a context in which prompt and reply have to fit."""
    return min(tokens, context // 2) if isinstance(context, int) and context > 1 else tokens


def suited(tokens: int, tasks: Sequence[str], backbone: str, *, _root_: DictConfig) -> int:
    """So many tokens where these tasks, or some of them, are asked of this backbone; else the generous number."""
    own = set(_root_.get("task") or ()) <= set(tasks) and OmegaConf.select(_root_, "backbone.name") == backbone
    return tokens if own else generous(OmegaConf.select(_root_, "backbone.context"))


def register() -> None:
    OmegaConf.register_new_resolver("generous_tokens", generous, replace=True)
    OmegaConf.register_new_resolver("tokens_within", within, replace=True)
    OmegaConf.register_new_resolver("suited_tokens", suited, replace=True)
