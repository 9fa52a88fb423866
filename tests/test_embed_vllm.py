"""vLLM's pooling runner on the saved folder gives the vectors of `st`. Skipped where vLLM is not installed."""

from __future__ import annotations

import dataclasses
import importlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.starting.build import build
from fmtbench.embed.encoder import Encoder
from fmtbench.embed.st import STEmbedBackend
from fmtbench.embed.templates import Template
from fmtbench.embed.vllm import VLLMEmbedBackend, check_poolable, saved_folder
from fmtbench.errors import UserError
from tests.conftest import composed
from tests.test_embed_encoder import TEXTS

needs_vllm = pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed")


@needs_vllm
@pytest.mark.model
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("pooling", "attention", "template"),
    [
        ("last_token", "causal", "{text}"),
        ("mean", "bidirectional", 'In one word, "{text}":"'),
        # A start of the engine each, for what the two above have between them:
        pytest.param("last_token", "bidirectional", "{text}", marks=pytest.mark.slow),
        pytest.param("mean", "causal", "{text}", marks=pytest.mark.slow),
        pytest.param("last_token", "causal", 'In one word, "{text}":"', marks=pytest.mark.slow),
    ],
)
def test_vllm_agrees_with_st(
    backbone: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pooling: Any, attention: Any, template: str
) -> None:
    importlib.import_module("llvmlite.binding.ffi")  # as bm25s does, by way of numba: vLLM has to start after it too
    exact = dataclasses.replace(backbone, dtype="float32", context=48)
    encoder = Encoder(backbone=exact, pooling=pooling, attention=attention, template=Template(query=template))
    with STEmbedBackend().open(encoder) as embedder:
        expected = embedder.encode(TEXTS)
    overrides = ["embed_backend=vllm", "embed_backend.enforce_eager=true", "output=x"]
    backend = build(composed(*overrides, root="embed").embed_backend, "embed_backend")
    with backend.open(encoder) as embedder:
        found = embedder.encode(TEXTS)
        alone = np.concatenate([embedder.encode([text]).vectors for text in TEXTS])
        raw = embedder._llm.embed([TEXTS[1]], use_tqdm=False)[0]
        assert embedder.facts()["dtype"] == "float32", "vLLM would take float16"
    assert (found.cut, found.tokens) == (expected.cut, expected.tokens)
    for vectors in (found.vectors, alone):
        assert (vectors * expected.vectors).sum(1).min() >= 1 - 1e-5
    if template == "{text}":
        assert raw.prompt_token_ids[-1] == embedder.tokenizer.eos_token_id, "vLLM's own tokenizing appends EOS too"
        assert float(np.dot(raw.outputs.embedding, expected.vectors[1])) >= 1 - 1e-5


@pytest.mark.parametrize(
    ("change", "message"),
    [({"pooling": "weighted_mean"}, "not by weighted_mean"), ({"include_prompt": False}, "include_prompt=false")],
)
def test_what_its_pooler_cannot_do_is_refused_before_loading(backbone: Any, change: dict[str, Any], message: str) -> None:
    encoder = Encoder(backbone=backbone, **change)
    with pytest.raises(UserError, match=message):
        VLLMEmbedBackend().open(encoder)
    with pytest.raises(UserError, match=message):
        check_poolable(encoder.spec())


@pytest.mark.model
def test_a_folder_is_written_once_for_each_identity(backbone: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = backbone.resolve()
    local = dataclasses.replace(backbone, path=str(weights.source), package=None, file=None)
    monkeypatch.setenv("FMTBENCH_CACHE", str(tmp_path))
    folder = saved_folder(Encoder(backbone=local))
    stamp = (folder / "model.safetensors").stat().st_mtime_ns
    assert saved_folder(Encoder(backbone=local)) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == stamp
    assert not list(tmp_path.glob("encoders/*.part-*"))
