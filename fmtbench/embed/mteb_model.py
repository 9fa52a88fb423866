"""An embedder in mteb's `EncoderProtocol`, so that mteb's evaluators can judge it.

mteb marks the texts of an asymmetric task as queries or documents, and does not mark those of a symmetric one. Here the
latter are all queries, with the instruction on both sides; mteb's own wrapper for sentence-transformers gives the texts of a
similarity task no prompt at all.
"""

from __future__ import annotations

import logging
from typing import Any

from fmtbench.embed.embedder import Embedder, Vectors
from fmtbench.embed.templates import Role

logger = logging.getLogger(__name__)


class MtebEncoder:
    """One embedder on one task."""

    def __init__(self, embedder: Embedder, name: str, task: Any) -> None:
        self.embedder, self.task = embedder, task
        self.mteb_model_meta = named(name)
        self.texts = self.tokens = self.cut = 0
        self.document_bytes: float | None = None

    def encode(self, inputs: Any, *, prompt_type: Any = None, **unused: Any) -> Vectors:
        """Vectors of all texts of a loader, in order."""
        role = self._role(None if prompt_type is None else prompt_type.value)
        texts = [text for batch in inputs for text in batch["text"]]
        if empty := sum(not text.strip() for text in texts):
            logger.info("%s: %d empty texts were embedded as a full stop", self.task.metadata.name, empty)
        encoded = self.embedder.encode([spoken(text) for text in texts], role, instruction_of(self.task, role))
        self.texts, self.tokens, self.cut = self.texts + len(texts), self.tokens + encoded.tokens, self.cut + encoded.cut
        if role == "document":
            self.document_bytes = 4.0 * encoded.vectors.shape[1]
        return encoded.vectors

    def _role(self, side: str | None) -> Role:
        """The side that mteb names; without one, the kind of task, if the template has words for it."""
        kind = self.task.metadata.type
        return side or (kind if kind in self.embedder.spec.template.by_task else "query")

    def similarity(self, one: Any, other: Any) -> Any:
        """Cosines of all pairs."""
        from mteb.similarity_functions import cos_sim

        return cos_sim(one, other)

    def similarity_pairwise(self, one: Any, other: Any) -> Any:
        """Cosines row by row."""
        from mteb.similarity_functions import pairwise_cos_sim

        return pairwise_cos_sim(one, other)


def instruction_of(task: Any, role: Role) -> str:
    """The instruction of an mteb task for a role."""
    prompt = task.metadata.prompt or task.abstask_prompt
    return prompt.get(role, task.abstask_prompt) if isinstance(prompt, dict) else str(prompt)


def spoken(text: str) -> str:
    """A full stop in place of an empty text, which would have no vector and no score."""
    return text if text.strip() else "."


def named(name: str) -> Any:
    """mteb's metadata for a model, which needs only its name."""
    from mteb.models.model_meta import ModelMeta

    return ModelMeta.create_empty(overwrites={"name": f"fmtbench/{name}", "revision": "local"})
