"""Pooling: from one vector a token to one unit vector a text.

Shapes: B texts of a batch, L token positions, D dimensions of a hidden state. `hidden_BLD` are the last hidden states,
`mask_BL` is 1 where a position takes part and 0 elsewhere. Padding may stand on either side: everything is found by the
mask, never by token id, since for many models the padding token is the end-of-sequence token. All arithmetic is float32,
whatever the dtype of the model.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from fmtbench.embed.recipe import Pooling


def last_token(hidden_BLD: Tensor, mask_BL: Tensor) -> Tensor:
    """The state of the last position of each text (E5-mistral, Wang et al. 2024, arXiv 2401.00368)."""
    length = mask_BL.shape[1]
    return _at(hidden_BLD, length - 1 - mask_BL.flip(1).int().argmax(1))


def first(hidden_BLD: Tensor, mask_BL: Tensor) -> Tensor:
    """The state of the first position of each text: `[CLS]` in BERT's family, and of little use under causal attention."""
    return _at(hidden_BLD, mask_BL.int().argmax(1))


def mean(hidden_BLD: Tensor, mask_BL: Tensor) -> Tensor:
    """The mean over positions (E5, Wang et al. 2022, arXiv 2212.03533)."""
    return _weighted(hidden_BLD, mask_BL.float())


def weighted_mean(hidden_BLD: Tensor, mask_BL: Tensor) -> Tensor:
    """A mean with weights 1, 2, ... from the first position on, since later states have seen more (SGPT, arXiv 2202.08904)."""
    return _weighted(hidden_BLD, mask_BL.float() * mask_BL.float().cumsum(1))


POOLINGS: dict[Pooling, Callable[[Tensor, Tensor], Tensor]] = {
    "last_token": last_token,
    "mean": mean,
    "weighted_mean": weighted_mean,
    "first": first,
}


def pool(hidden_BLD: Tensor, mask_BL: Tensor, pooling: Pooling) -> Tensor:
    """Unit vectors, B x D, float32. A text without a position would have no vector: the caller keeps such texts away."""
    assert bool(mask_BL.any(1).all()), "a row of the mask is empty"
    return torch.nn.functional.normalize(POOLINGS[pooling](hidden_BLD, mask_BL), dim=1)


def _at(hidden_BLD: Tensor, position_B: Tensor) -> Tensor:
    return hidden_BLD[torch.arange(len(hidden_BLD), device=hidden_BLD.device), position_B].float()


def _weighted(hidden_BLD: Tensor, weight_BL: Tensor) -> Tensor:
    weight_BL = weight_BL / weight_BL.sum(1, keepdim=True)
    return torch.einsum("bl,bld->bd", weight_BL, hidden_BLD.masked_fill(weight_BL.unsqueeze(2) == 0, 0).float())
