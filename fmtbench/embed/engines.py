"""Engines: what turns tokens into vectors. `st` works anywhere torch does, `vllm` is for bulk.

with open_embedder(STEngine(), encoder) as embedder:
    vectors_ND = embedder.encode(["first text", "second text"]).vectors
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fmtbench.embed.encoder import Loadable
from fmtbench.embed.recipe import Recipe
from fmtbench.embed.templates import Role
from fmtbench.embed.tokens import Tokens, tokenise
from fmtbench.errors import UserError

logger = logging.getLogger(__name__)

Vectors = NDArray[np.float32]


class Encoded(NamedTuple):
    """Texts as vectors, in the order of the texts."""

    vectors: Vectors
    """N x D, float32, unit length."""
    tokens: int
    """Tokens that went through the model, the template's among them."""
    cut: int
    """Texts that were longer than the context."""


class Engine(ABC):
    """A way to run an encoder; its options are its fields."""

    @abstractmethod
    def open(self, encoder: Loadable) -> Embedder:
        """Load the weights. Raises `UserError` where this engine cannot do what the encoder asks."""


class Embedder(ABC):
    """An encoder that is ready."""

    recipe: Recipe
    tokenizer: Any

    def encode(self, texts: Sequence[str], role: Role = "query", instruction: str = "") -> Encoded:
        """Unit vectors. In a symmetric task every text is a query. Raises `UserError` for an empty text."""
        tokens = tokenise(self.tokenizer, texts, self.recipe, role, instruction)
        vectors = _first(self.vectors(tokens), self.recipe.dimensions)
        return Encoded(vectors, sum(len(one.ids) for one in tokens), sum(one.cut for one in tokens))

    @abstractmethod
    def vectors(self, tokens: Sequence[Tokens]) -> Vectors:
        """One unit vector for each text."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What the manifest says of the engine and the encoder."""

    @abstractmethod
    def close(self) -> None:
        """Free the weights."""


def _first(vectors: Vectors, dimensions: int | None) -> Vectors:
    """The first dimensions, at unit length (Matryoshka, Kusupati et al. 2022, arXiv 2205.13147)."""
    if dimensions is None:
        return vectors
    if dimensions > vectors.shape[1]:
        raise UserError(f"dimensions={dimensions}: the vectors have {vectors.shape[1]}")
    cut = vectors[:, :dimensions]
    return cut / np.linalg.norm(cut, axis=1, keepdims=True)


@contextmanager
def open_embedder(engine: Engine, encoder: Loadable) -> Iterator[Embedder]:
    """The embedder inside the block, closed behind it."""
    embedder = engine.open(encoder)
    try:
        yield embedder
    finally:
        embedder.close()
