"""Causal or bidirectional attention of a decoder-only backbone, without a second model class.

LLM2Vec (BehnamGhader et al. 2024, arXiv 2404.05961) removes the causal mask. Since 5.2, transformers reads
`config.is_causal` in every forward pass, so setting it is enough. Passing `is_causal` to `from_pretrained` has no effect.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fmtbench.embed.spec import Attention

SEEN_WITH = {"transformers": "5.24.0"}
"""The release with which this was last verified."""
UNSET = object()


@contextmanager
def attending(model: Any, attention: Attention | None) -> Iterator[None]:
    """Set a `PreTrainedModel`'s attention inside the block and restore it after, so that shared weights can generate."""
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
    """Set the attention of a model that only encodes; it is saved with the model's config. None changes nothing."""
    if attention is not None:
        model.config.is_causal = attention == "causal"
