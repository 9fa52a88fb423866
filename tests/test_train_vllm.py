"""Matryoshka dimensions in vLLM: refused of a folder that does not say it, else the first dimensions of `st`'s vectors."""

from __future__ import annotations

import dataclasses
import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fmtbench.backends.vllm.setup import ready_vllm
from fmtbench.embed.encoder import Encoder
from fmtbench.embed.saved import SavedEncoder
from fmtbench.embed.st import STEmbedBackend
from fmtbench.embed.vllm import saved_folder
from tests.test_embed_encoder import TEXTS


@pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed")
@pytest.mark.model
@pytest.mark.filterwarnings("default")
def test_vllm_cuts_vectors_only_of_a_folder_that_allows_it(backbone: Any, tmp_path: Path) -> None:
    ready_vllm(own_process=False)
    from vllm import LLM, PoolingParams
    from vllm.config import ModelConfig
    from vllm.exceptions import VLLMValidationError

    plain = saved_folder(Encoder(backbone=dataclasses.replace(backbone, dtype="float32", context=48)))
    said = Path(shutil.copytree(plain, tmp_path / "said"))
    config = json.loads((said / "config.json").read_text())
    (said / "config.json").write_text(json.dumps(config | {"matryoshka_dimensions": [64]}))  # as a recipe with matryoshka does
    short = PoolingParams(task="embed", dimensions=64)
    with pytest.raises(VLLMValidationError, match="does not support Matryoshka"):
        short.clone().verify(ModelConfig(model=str(plain), runner="pooling", dtype="float32"))
    short.clone().verify(ModelConfig(model=str(said), runner="pooling", dtype="float32"))
    with pytest.raises(VLLMValidationError, match="only supports Matryoshka"):
        PoolingParams(task="embed", dimensions=63).verify(ModelConfig(model=str(said), runner="pooling", dtype="float32"))

    with STEmbedBackend().open(SavedEncoder(path=str(plain), dimensions=64)) as embedder:
        expected = embedder.encode(TEXTS[:3]).vectors
    assert expected.shape == (3, 64)
    llm = LLM(str(said), runner="pooling", dtype="float32", max_model_len=48, enforce_eager=True, enable_prefix_caching=False)
    try:
        found = llm.embed(TEXTS[:3], pooling_params=PoolingParams(dimensions=64), use_tqdm=False)
        vectors = np.array([one.outputs.embedding for one in found])
    finally:
        llm.llm_engine.engine_core.shutdown()
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-5
    assert (vectors * expected).sum(1).min() >= 1 - 1e-5
