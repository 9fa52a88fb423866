"""What turns texts into vectors. `st` runs wherever torch does; `vllm` is for bulk.

with STEmbedBackend().open(encoder) as embedder:
    vectors_ND = embedder.encode(["first text", "second text"]).vectors
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from fmtbench.embed.description import LoadedEncoder
from fmtbench.embed.spec import EncoderSpec
from fmtbench.embed.templates import Role
from fmtbench.embed.tokens import Tokens, tokenise
from fmtbench.errors import UserError

Vectors = NDArray[np.float32]


class Loadable(Protocol):
    """An encoder that is not loaded yet: what `EmbedBackend.open` takes."""

    def identity(self) -> str:
        """sha256 of everything that determines the vectors."""

    def published(self) -> tuple[str, str] | None:
        """Hub id and commit of an encoder from the hub; None for any other."""

    def load(self) -> LoadedEncoder:
        """Load the weights. Raises `UserError` if there are none, or if they contradict what was asked."""


class Encoded(NamedTuple):
    """Texts as vectors, in the order of the texts."""

    vectors: Vectors
    """N x D, float32, unit length."""
    tokens: int
    """The number of tokens that went through the model, the template's included."""
    cut: int
    """The number of texts that were longer than the context."""


class EmbedBackend(ABC):
    """A library that runs encoders, as a description; its options are its fields."""

    score_key: ClassVar[str]
    """Part of the key of every score in `scores.jsonl`; never change it, or users measure all scores again."""

    @abstractmethod
    def open(self, encoder: Loadable) -> Embedder:
        """Load the weights. Raises `UserError` if this backend cannot do what the encoder asks."""


class Embedder(ABC):
    """An encoder that is ready. A context manager, which frees the weights on exit."""

    spec: EncoderSpec
    tokenizer: Any

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def encode(self, texts: Sequence[str], role: Role = "query", instruction: str = "") -> Encoded:
        """Unit vectors. In a symmetric task every text is a query. Raises `UserError` for an empty text."""
        tokens = tokenise(self.tokenizer, texts, self.spec, role, instruction)
        vectors = shortened(self.vectors(tokens), self.spec.dimensions)
        return Encoded(vectors, sum(len(one.ids) for one in tokens), sum(one.cut for one in tokens))

    @abstractmethod
    def vectors(self, tokens: Sequence[Tokens]) -> Vectors:
        """One unit vector for each text."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What the manifest records about the engine and the encoder."""

    @abstractmethod
    def close(self) -> None:
        """Free the weights."""


def shortened(vectors: Vectors, dimensions: int | None) -> Vectors:
    """The first dimensions, rescaled to unit length (Matryoshka, Kusupati et al. 2022, arXiv 2205.13147)."""
    if dimensions is None:
        return vectors
    if dimensions > vectors.shape[1]:
        raise UserError(f"dimensions={dimensions}: the vectors have {vectors.shape[1]}")
    cut = vectors[:, :dimensions]
    return cut / np.linalg.norm(cut, axis=1, keepdims=True)
