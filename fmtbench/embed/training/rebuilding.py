"""RetroMAE's enhanced decoding (Xiao et al. 2022, arXiv 2205.12035) with a layer of any decoder-only backbone.

Queries are the text's vector at every place; keys and values are that vector and the unmasked tokens. A stock layer has one
stream for all three, so both streams go through it concatenated, and a mask says which place sees which. Positions are rotary, so
the place of a query is the angle by which it is rotated.

Shapes: B texts, L tokens, D dimensions, V words of the vocabulary, P = L + 1 places (the vector, then the tokens).
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fmtbench.embed.loading import check_stack
from fmtbench.embed.pooling import pooled, taking_part
from fmtbench.embed.spec import EncoderSpec
from fmtbench.errors import UserError


def visible_places(mask_BL: Tensor, masked: float, random: torch.Generator | None = None) -> Tensor:
    """B x L x P, boolean: what each token's place sees.

    Always the vector, never its own token or padding, and a random share 1 - `masked` of the other tokens, drawn for each place.
    """
    texts, length = mask_BL.shape
    drawn_BLL = torch.rand(texts, length, length, generator=random, device=mask_BL.device) >= masked
    others_LL = ~torch.eye(length, dtype=torch.bool, device=mask_BL.device)
    seen_BLL = drawn_BLL & others_LL & mask_BL.bool().unsqueeze(1)
    return torch.cat([torch.ones_like(seen_BLL[:, :, :1]), seen_BLL], 2)


class RebuildingLayer(nn.Module):
    """One layer of a backbone, followed by its final norm."""

    def __init__(self, layer: Any, norm: Any, rotary: Any) -> None:
        super().__init__()
        self.layer, self.norm, self.rotary = layer, norm, rotary

    def forward(self, vector_BD: Tensor, tokens_BLD: Tensor, visible_BLP: Tensor) -> Tensor:
        """The states at the tokens' places, B x L x D. `tokens_BLD` are the embeddings of the unmasked tokens."""
        length = tokens_BLD.shape[1]
        vector_B1D = vector_BD.unsqueeze(1)
        streams = torch.cat([vector_B1D.expand(-1, length, -1), vector_B1D, tokens_BLD], 1)
        places = torch.arange(length + 1, device=streams.device)
        places = torch.cat([places[1:], places]).unsqueeze(0)
        found = self.layer(
            streams,
            attention_mask=_two_streams(visible_BLP),
            position_embeddings=self.rotary(streams, places),
            position_ids=places,
        )
        return self.norm((found[0] if isinstance(found, tuple) else found)[:, :length])


def _two_streams(visible_BLP: Tensor) -> Tensor:
    """B x 1 x (L + P) x (L + P): each query sees the places visible to it; a key sees only itself, so that it stays its own."""
    texts, length, places = visible_BLP.shape
    allowed = torch.eye(length + places, dtype=torch.bool, device=visible_BLP.device).repeat(texts, 1, 1)
    allowed[:, :length] = torch.cat([torch.zeros_like(visible_BLP[:, :, :length]), visible_BLP], 2)
    return allowed.unsqueeze(1)


def decoder_of(lm: Any) -> RebuildingLayer:
    """The last layer of a causal language model as a decoder; it is taken from that model, not copied.

    Raises `UserError` for a model whose layers are not those of a decoder with one kind of rotary positions.
    """
    model = getattr(lm, lm.base_model_prefix)
    check_stack(model, "RetroMAE")
    if not hasattr(model, "rotary_emb") or "layer_type" in signature(model.rotary_emb.forward).parameters:
        raise UserError(f"RetroMAE needs one kind of rotary positions, which {type(model).__name__} has not: leave it out")
    layer = model.layers[-1].requires_grad_(True).train()
    model.set_attn_implementation("sdpa")  # since sdpa takes a boolean mask of any shape
    return RebuildingLayer(layer, model.norm.requires_grad_(True), model.rotary_emb)


class HiddenTokens(NamedTuple):
    """Which tokens are hidden; drawn in each forward pass, so that a killed stage resumes with the draws it would have made."""

    encoder: float
    """The share of tokens that the encoder does not see."""
    decoder: float
    """The share of the other tokens that each place of the decoder does not see."""
    token: int
    """The id of the token that stands for a hidden one."""
    special: Sequence[int]
    """Ids that are never hidden."""


class Rebuilding(nn.Module):
    """An encoder, the decoder that rebuilds texts from its vectors, and one head for both, which is not trained."""

    def __init__(self, encoder: Any, head: Any, decoder: RebuildingLayer, spec: EncoderSpec, masks: HiddenTokens) -> None:
        super().__init__()
        self.encoder, self.head, self.decoder = encoder, head.requires_grad_(False), decoder
        self.spec, self.masks = spec, masks

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """The loss of whole texts, padded on the right; both arguments are B x L."""
        hidden_BL = self.hidden(input_ids, attention_mask)
        visible_BLP = visible_places(attention_mask, self.masks.decoder)
        ids_BL = torch.where(hidden_BL, self.masks.token, input_ids)
        states_BLD = self.encoder(input_ids=ids_BL, attention_mask=attention_mask).last_hidden_state
        decoded = self.decoder_loss(self.vectors(states_BLD, attention_mask), input_ids, attention_mask, visible_BLP)
        return {"loss": self.encoder_loss(states_BLD, input_ids, hidden_BL) + decoded}

    def hidden(self, ids_BL: Tensor, mask_BL: Tensor) -> Tensor:
        """Which tokens the encoder does not see, B x L."""
        may_BL = mask_BL.bool() & ~torch.isin(ids_BL, torch.tensor(self.masks.special, device=ids_BL.device))
        return may_BL & (torch.rand(ids_BL.shape, device=ids_BL.device) < self.masks.encoder)

    def vectors(self, states_BLD: Tensor, mask_BL: Tensor) -> Tensor:
        """The texts' vectors, B x D, pooled as by the encoder but not rescaled to unit length."""
        start_B = torch.zeros(len(mask_BL), dtype=torch.int64, device=mask_BL.device)
        return pooled(states_BLD, taking_part(mask_BL, start_B, self.spec), self.spec.pooling)

    def encoder_loss(self, states_BLD: Tensor, ids_BL: Tensor, hidden_BL: Tensor) -> Tensor:
        """The loss over hidden tokens, each predicted from the state before it: a causal model's head predicts the next token."""
        return self._named(states_BLD[:, :-1], ids_BL[:, 1:], hidden_BL[:, 1:])

    def decoder_loss(self, vector_BD: Tensor, ids_BL: Tensor, mask_BL: Tensor, visible_BLP: Tensor) -> Tensor:
        """The loss over all tokens."""
        tokens_BLD = self.encoder.get_input_embeddings()(ids_BL)
        return self._named(self.decoder(vector_BD, tokens_BLD, visible_BLP), ids_BL, mask_BL.bool())

    def _named(self, states_BLD: Tensor, ids_BL: Tensor, chosen_BL: Tensor) -> Tensor:
        """The mean cross-entropy at the chosen places; 0 if there are none."""
        total = cross_entropy(self.head(states_BLD[chosen_BL]).float(), ids_BL[chosen_BL], reduction="sum")
        return total / chosen_BL.sum().clamp(min=1)
