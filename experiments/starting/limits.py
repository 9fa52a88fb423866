"""Default limits on the tokens of a reply: resolvers for `sampling.max_tokens` in conf/.

A reply that ends by itself costs no more under a generous limit, and a limit that cuts replies makes formats differ by their
length alone. A small model that rambles is another matter: the quickstart sets a limit that suits its own tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

GENEROUS = 1024
"""In tokens: four times what free replies to GSM8K need."""


def generous(context: Any) -> int:
    """`GENEROUS`, or half of the context if that is less."""
    return within(GENEROUS, context)


def within(tokens: int, context: Any) -> int:
    """So many tokens, or half of the context if that is less: prompt and reply have to fit into it."""
    return min(tokens, context // 2) if isinstance(context, int) and context > 1 else tokens


def suited(tokens: int, tasks: Sequence[str], backbone: str, *, _root_: DictConfig) -> int:
    """So many tokens if this backbone is asked only tasks among these; else the generous limit."""
    own = set(_root_.get("task") or ()) <= set(tasks) and OmegaConf.select(_root_, "backbone.name") == backbone
    return tokens if own else generous(OmegaConf.select(_root_, "backbone.context"))


def register() -> None:
    OmegaConf.register_new_resolver("generous_tokens", generous, replace=True)
    OmegaConf.register_new_resolver("tokens_within", within, replace=True)
    OmegaConf.register_new_resolver("suited_tokens", suited, replace=True)
