"""Every layer and pooling of a backbone judged from one forward pass: `study=layers`.

Layer n is what `Encoder(layers=n)` gives: the state after the first n layers, passed through the backbone's final norm. So a line
of this table is the score of an encoder that can be built, saved and served, and it has that encoder's key in the journal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch

from fmtbench.embed.embedder import EmbedBackend, Embedder, Encoded, Loadable, Vectors
from fmtbench.embed.encoder import Encoder
from fmtbench.embed.loading import check_stack, depth
from fmtbench.embed.pooling import pool, taking_part
from fmtbench.embed.scores import METRICS, Score
from fmtbench.embed.spec import EncoderSpec, Pooling
from fmtbench.embed.st import STEmbedBackend, STEmbedder
from fmtbench.embed.templates import Role
from fmtbench.embed.tokens import Tokens, tokenise
from fmtbench.errors import UserError


class Way(NamedTuple):
    """A column of the table."""

    pooling: Pooling
    skip_first: bool = False


WAYS = {
    "last token": Way("last_token"),
    "mean": Way("mean"),
    "mean without the first": Way("mean", True),
    "weighted mean": Way("weighted_mean"),
}


def variants(encoder: Encoder, layers: Sequence[int]) -> dict[tuple[int, str], Encoder]:
    """The encoder at each of these layers (all if none is named), pooled in each way. Raises `UserError`."""
    whole = depth(encoder.backbone.resolve())
    last = encoder.layers or whole
    if wrong := [one for one in layers if not 1 <= one <= last]:
        raise UserError(f"layers={list(layers)}: {wrong[0]} is no layer; the encoder has 1 to {last}")
    return {
        (layer, name): replace(encoder, layers=None if layer == whole else layer, **way._asdict())
        for layer in sorted(set(layers)) or range(1, last + 1)
        for name, way in WAYS.items()
    }


class EveryLayer(EmbedBackend):
    """Loads an encoder once and embeds each text once; opens all of its variants."""

    score_key = STEmbedBackend.score_key

    def __init__(self, encoder: Encoder, asked: Sequence[Encoder], backend: STEmbedBackend) -> None:
        self.encoder, self.asked, self.backend = encoder, list(asked), backend
        self.states: States | None = None

    def open(self, encoder: Loadable) -> Embedder:
        if self.states is None:
            self.states = States(_Layers(self.encoder, [one.spec() for one in self.asked], self.backend))
        assert isinstance(encoder, Encoder)
        return _View(self.states, self.asked.index(encoder), encoder.spec())


class States:
    """The vectors of the texts seen so far, in all variants: texts x variants x D floats in memory."""

    def __init__(self, embedder: _Layers) -> None:
        self.embedder = embedder
        self.places: dict[tuple[str, Role, str], int] = {}
        self.blocks: list[Vectors] = []
        self.counts: list[tuple[int, bool]] = []

    def encoded(self, texts: Sequence[str], role: Role, instruction: str, number: int) -> Encoded:
        """The vectors in one variant. Texts not seen yet go through the model."""
        keys = [(text, role, instruction) for text in texts]
        self._add([key for key in dict.fromkeys(keys) if key not in self.places])
        places = [self.places[key] for key in keys]
        vectors = np.concatenate([block[:, number] for block in self.blocks])[places]
        lengths, cuts = zip(*[self.counts[place] for place in places])
        return Encoded(vectors, sum(lengths), sum(cuts))

    def _add(self, new: Sequence[tuple[str, Role, str]]) -> None:
        if new:
            _, role, instruction = new[0]
            texts = [text for text, _, _ in new]
            tokens = tokenise(self.embedder.tokenizer, texts, self.embedder.spec, role, instruction)
            self.blocks.append(self.embedder.vectors(tokens).reshape(len(new), len(self.embedder.specs), -1))
            self.counts += [(len(one.ids), one.cut) for one in tokens]
            self.places |= {key: len(self.places) + i for i, key in enumerate(new)}


class _View(Embedder):
    """The embedder of one variant."""

    def __init__(self, states: States, number: int, spec: EncoderSpec) -> None:
        self.states, self.number, self.spec = states, number, spec
        self.tokenizer = states.embedder.tokenizer

    def encode(self, texts: Sequence[str], role: Role = "query", instruction: str = "") -> Encoded:
        return self.states.encoded(texts, role, instruction, self.number)

    def vectors(self, tokens: Sequence[Tokens]) -> Vectors:
        raise AssertionError("texts are looked up, not tokens")

    def facts(self) -> dict[str, Any]:
        return self.states.embedder.facts()

    def close(self) -> None:
        """Keep the weights: the next variant needs them."""


class _Layers(STEmbedder):
    """An embedder whose vectors are those of all variants, concatenated: N x (variants * D)."""

    def __init__(self, encoder: Encoder, specs: Sequence[EncoderSpec], backend: STEmbedBackend) -> None:
        super().__init__(encoder.load(), backend)
        self.specs = list(specs)

    def _batch(self, batch: list[Tokens]) -> Vectors:
        states = layer_states(self, batch)
        device = states[0].device
        lengths_B, start_B = (torch.tensor(one, device=device) for one in zip(*[(len(one.ids), one.start) for one in batch]))
        mask_BL = (torch.arange(states[0].shape[1], device=device) < lengths_B.unsqueeze(1)).long()  # padded on the right
        found = []
        for spec in self.specs:
            hidden_BLD = states[(spec.layers or len(states)) - 1]
            found.append(pool(hidden_BLD, taking_part(mask_BL, start_B, spec), spec.pooling))
        return torch.cat(found, 1).cpu().numpy()


def layer_states(embedder: STEmbedder, batch: list[Tokens]) -> list[torch.Tensor]:
    """The output of each layer, through the final norm: B x L x D each."""
    model = embedder.loaded.model.transformers_model
    check_stack(model, "study=layers")
    kept: list[torch.Tensor] = []

    def keep(layer: Any, given: Any, output: Any) -> None:
        kept.append(output[0] if isinstance(output, tuple) else output)

    hooks = [layer.register_forward_hook(keep) for layer in model.layers]
    try:
        embedder.states(batch)
    finally:
        for hook in hooks:
            hook.remove()
    with torch.inference_mode():
        return [model.norm(hidden_BLD) for hidden_BLD in kept]


def layer_lines(embedder: str, asked: Mapping[tuple[int, str], Encoder], scores: Sequence[Score]) -> list[dict[str, Any]]:
    """One line per task and layer, one column per way of pooling: mteb's main scores x 100.

    `scores` are those of the variants in order, each on all tasks, as `evaluate` returns them.
    """
    lines: dict[tuple[str, int], dict[str, Any]] = {}
    tasks = len(scores) // len(asked)
    for number, score in enumerate(scores):
        layer, way = list(asked)[number // tasks]
        first = {"embedder": embedder, "task": f"{score.task} ({METRICS.get(score.metric, score.metric)})", "layer": layer}
        found = float("nan") if score.score is None else 100 * score.score
        lines.setdefault((score.task, layer), first)[way] = found
    return [lines[key] for key in sorted(lines, key=lambda key: key[0])]
