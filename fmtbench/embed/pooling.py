"""Pooling: from one vector per token to one unit vector per text.

Shapes: B texts in a batch, L token positions, D dimensions of a hidden state. `hidden_BLD` are the last hidden states,
`mask_BL` is 1 at the positions that are pooled and 0 elsewhere. Padding may be on either side: positions are found by the
mask, never by token id, since many models pad with the end-of-sequence token. All arithmetic is in float32, whatever the
model's dtype.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from fmtbench.embed.spec import EncoderSpec, Pooling


def last_token(hidden_BLD: Tensor, mask_BL: Tensor) -> Tensor:
    """The state of the last position of each text (E5-mistral, Wang et al. 2024, arXiv 2401.00368)."""
    length = mask_BL.shape[1]
    return _at(hidden_BLD, length - 1 - mask_BL.flip(1).int().argmax(1))


def first(hidden_BLD: Tensor, mask_BL: Tensor) -> Tensor:
    """The state of the first position of each text: `[CLS]` in BERT's family; of little use under causal attention."""
    return _at(hidden_BLD, mask_BL.int().argmax(1))


def mean(hidden_BLD: Tensor, mask_BL: Tensor) -> Tensor:
    """The mean over positions (E5, Wang et al. 2022, arXiv 2212.03533)."""
    return _weighted(hidden_BLD, mask_BL.float())


def weighted_mean(hidden_BLD: Tensor, mask_BL: Tensor) -> Tensor:
    """A mean with weights 1, 2, ..., since later states have seen more of the text (SGPT, arXiv 2202.08904)."""
    return _weighted(hidden_BLD, mask_BL.float() * mask_BL.float().cumsum(1))


POOLINGS: dict[Pooling, Callable[[Tensor, Tensor], Tensor]] = {
    "last_token": last_token,
    "mean": mean,
    "weighted_mean": weighted_mean,
    "first": first,
}


def taking_part(mask_BL: Tensor, start_B: Tensor, spec: EncoderSpec) -> Tensor:
    """The positions that are pooled: without the template's words, which end before `start_B`, and without the first token.

    Many models put an attention sink on the first token, whose large state drowns the mean of an inner layer (arXiv 2510.06477).
    A text of one token keeps it.
    """
    part_BL = mask_BL
    if not spec.include_prompt:
        part_BL = mask_BL * (mask_BL.cumsum(1) > start_B.unsqueeze(1))
    if not spec.skip_first:
        return part_BL
    rest_BL = part_BL * (mask_BL.cumsum(1) > 1)
    return torch.where(rest_BL.any(1, keepdim=True), rest_BL, part_BL)


def pool(hidden_BLD: Tensor, mask_BL: Tensor, pooling: Pooling) -> Tensor:
    """Unit vectors, B x D, float32. The caller ensures that every text has a position to pool."""
    return torch.nn.functional.normalize(pooled(hidden_BLD, mask_BL, pooling), dim=1)


def pooled(hidden_BLD: Tensor, mask_BL: Tensor, pooling: Pooling) -> Tensor:
    """Like `pool`, but not rescaled to unit length: the input of a Dense module after the pooling."""
    assert bool(mask_BL.any(1).all()), "a row of the mask is empty"
    return POOLINGS[pooling](hidden_BLD, mask_BL)


def _at(hidden_BLD: Tensor, position_B: Tensor) -> Tensor:
    return hidden_BLD[torch.arange(len(hidden_BLD), device=hidden_BLD.device), position_B].float()


def _weighted(hidden_BLD: Tensor, weight_BL: Tensor) -> Tensor:
    weight_BL = weight_BL / weight_BL.sum(1, keepdim=True)
    return torch.einsum("bl,bld->bd", weight_BL, hidden_BLD.masked_fill(weight_BL.unsqueeze(2) == 0, 0).float())
