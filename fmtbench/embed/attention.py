"""Causal or bidirectional attention of a decoder-only backbone, without a second model class.

LLM2Vec (BehnamGhader et al. 2024, arXiv 2404.05961) takes the causal mask away. transformers from 5.2 on reads
`config.is_causal` in every forward pass, so that is all it takes. Passing `is_causal` to `from_pretrained` does nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fmtbench.embed.recipe import Attention

UNSET = object()


@contextmanager
def attending(model: Any, attention: Attention | None) -> Iterator[None]:
    """Inside the block, `model` (a `PreTrainedModel`) attends so; afterwards as before, so that shared weights can generate."""
    if attention is None:
        yield
        return
    before = getattr(model.config, "is_causal", UNSET)
    set_attention(model, attention)
    try:
        yield
    finally:
        if before is UNSET:
            del model.config.is_causal
        else:
            model.config.is_causal = before


def set_attention(model: Any, attention: Attention | None) -> None:
    """For a model that is only an encoder; the setting is saved with its config. None leaves it as it is."""
    if attention is not None:
        model.config.is_causal = attention == "causal"
