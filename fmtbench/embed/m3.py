"""BGE-M3's heads (Chen et al. 2024, arXiv 2402.03216): lexical weights and token vectors, from the same hidden states as the
dense vectors, so that one forward pass gives all three.

    sparse_linear.pt     {weight: 1 x D, bias: 1}: how much each token counts
    colbert_linear.pt    {weight: M x D, bias: M}: a vector for each token

The files are those of FlagEmbedding and of vLLM's `BgeM3EmbeddingModel`. Shapes: B texts, L positions, D dimensions of a hidden
state, M dimensions of a token's vector, V ids of the vocabulary. All arithmetic is in float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from fmtbench.embed.hub import read_tensors
from fmtbench.errors import UserError
from fmtbench.saving import saving

FILES = {"sparse": "sparse_linear.pt", "multi": "colbert_linear.pt"}


class Heads(nn.Module):
    """The linear layers; either may be missing. Dense vectors need none."""

    def __init__(self, *, sparse: nn.Linear | None = None, multi: nn.Linear | None = None) -> None:
        super().__init__()
        self.sparse, self.multi = sparse, multi


def fresh_heads(width: int) -> Heads:
    """Both heads, with weights from torch's random state."""
    return Heads(sparse=nn.Linear(width, 1), multi=nn.Linear(width, width))


def lexical(hidden_BLD: Tensor, ids_BL: Tensor, kept_BL: Tensor, layer: nn.Linear, vocabulary: int) -> Tensor:
    """B x V: for each id of the vocabulary the largest weight of its tokens, 0 if the text lacks it."""
    weight_BL = torch.relu(layer(hidden_BLD.float())).squeeze(-1) * kept_BL
    return weight_BL.new_zeros(len(ids_BL), vocabulary).scatter_reduce(1, ids_BL, weight_BL, "amax")


def token_vectors(hidden_BLD: Tensor, kept_BL: Tensor, layer: nn.Linear) -> Tensor:
    """B x L x M: unit vectors, 0 at positions that are not kept."""
    return normalize(layer(hidden_BLD.float()), dim=-1) * kept_BL.unsqueeze(-1)


def terms(ids_BL: Tensor, mask_BL: Tensor, tokenizer: Any) -> Tensor:
    """B x L, true where a token is a term and not a special token, whatever the tokenizer calls those."""
    return mask_BL.bool() & ~_among(ids_BL, tokenizer.all_special_ids)


def vectors_kept(ids_BL: Tensor, mask_BL: Tensor, tokenizer: Any) -> Tensor:
    """B x L, true where a token has a vector: all but the first of a text, as in the paper's own code."""
    first = (tokenizer.cls_token_id, tokenizer.bos_token_id)
    return mask_BL.bool() & ~_among(ids_BL, [one for one in first if one is not None])


def _among(ids_BL: Tensor, listed: Iterable[int]) -> Tensor:
    return torch.isin(ids_BL, torch.tensor(list(listed), dtype=ids_BL.dtype, device=ids_BL.device))


# -- files


def write_heads(folder: Path, heads: Heads) -> None:
    for name, file in FILES.items():
        layer = getattr(heads, name)
        if layer is not None:
            with saving(folder / file):
                state = {key: one.detach().cpu().clone() for key, one in layer.state_dict().items()}
                torch.save(state, folder / file)


def read_heads(folder: Path, names: Sequence[str], width: int) -> Heads:
    """The heads among `sparse` and `multi` that are named.

    Raises `UserError` if a file is missing, is not a file of tensors, or belongs to a model of another width.
    """
    return Heads(**{name: _layer(folder / FILES[name], name, width) for name in FILES if name in names})


def _layer(path: Path, name: str, width: int) -> nn.Linear:
    if not path.is_file():
        raise UserError(f"heads= has {name}, but {path.parent} holds no {path.name}: leave it out, or train it (recipe=bge_m3)")
    state = read_tensors(path)
    shapes = {key: tuple(getattr(one, "shape", ())) for key, one in state.items()} if isinstance(state, dict) else {}
    rows = 1 if name == "sparse" else next(iter(shapes.get("weight", ())), 0)
    expected = {"weight": (rows, width), "bias": (rows,)}
    if not rows or shapes != expected:
        raise UserError(f"{path} holds {shapes or type(state).__name__}, needed are {expected}: it belongs to another model")
    layer = nn.Linear(width, rows)
    layer.load_state_dict(state)
    return layer
