"""Texts per second of the embed backends: our `st` against plain sentence-transformers, and vLLM's pooling runner against ours.

The encoder is plain last-token pooling, over texts of mixed lengths. Loading is left out on both sides, tokenizing is not.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from fmtbench.backbone import Backbone
from fmtbench.embed.embedder import Embedder
from fmtbench.embed.encoder import Encoder
from fmtbench.embed.st import STEmbedBackend
from fmtbench.embed.vllm import VLLMEmbedBackend

from .measure import BenchmarkResult, Target, paired, spread

TEXTS = 10_000
WARM_UP = 128
WORDS = ["river", "window", "quiet", "seven", "under", "paper", "morning", "green", "follow", "answer", "stone", "letter"]


def mixed_texts(count: int, seed: int = 0) -> list[str]:
    """Texts of 2 to 32 words, most of them short: lengths are uniform on a logarithmic scale."""
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=round(2 ** draw.uniform(1, 5)))) for _ in range(count)]


def against_plain(backbone: Backbone, pairs: int) -> BenchmarkResult:
    """Our `st` over `SentenceTransformer.encode` of the same model, batch size and truncation."""
    texts = mixed_texts(TEXTS)
    with STEmbedBackend().open(Encoder(backbone=backbone)) as embedder:
        model, size = embedder.loaded.model, embedder.backend.batch_size

        def plain() -> float:
            started = time.perf_counter()
            model.encode(texts, batch_size=size, normalize_embeddings=True, show_progress_bar=False)
            return len(texts) / (time.perf_counter() - started)

        embedder.encode(texts[:WARM_UP])
        speeds: list[float] = []
        ratios = paired(lambda: _speed(embedder, texts, speeds), plain, pairs)
    what = "texts/s of embed_backend=st over SentenceTransformer.encode, same model and batch size"
    return BenchmarkResult(
        name="embed_st", what=what, ratios=ratios, target=Target(sense="at least", value=1.0), notes=_notes(texts, speeds)
    )


def against_st(backbone: Backbone, pairs: int) -> BenchmarkResult:
    """vLLM's pooling runner over our `st`, with both open at once."""
    texts, encoder = mixed_texts(TEXTS), Encoder(backbone=backbone)
    with STEmbedBackend().open(encoder) as st, VLLMEmbedBackend().open(encoder) as vllm:
        for one in (st, vllm):
            one.encode(texts[:WARM_UP])
        speeds: list[float] = []
        ratios = paired(lambda: _speed(vllm, texts, speeds), lambda: _speed(st, texts, []), pairs)
    what = "texts/s of embed_backend=vllm over embed_backend=st, same encoder"
    return BenchmarkResult(
        name="embed_vllm", what=what, ratios=ratios, target=Target(sense="at least", value=1.0), notes=_notes(texts, speeds)
    )


def _speed(embedder: Embedder, texts: Sequence[str], speeds: list[float]) -> float:
    """Texts per second, also appended to `speeds`."""
    started = time.perf_counter()
    embedder.encode(texts)
    speeds.append(len(texts) / (time.perf_counter() - started))
    return speeds[-1]


def _notes(texts: Sequence[str], speeds: Sequence[float]) -> str:
    return f"{len(texts)} texts of 2 to 32 words, {spread(speeds)} texts/s"
