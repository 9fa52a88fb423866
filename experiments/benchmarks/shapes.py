"""A model of a given shape with random weights, created in place: measuring speed needs no download."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from fmtbench.backbone import Backbone, load_tokenizer
from fmtbench.backends.hf import HF, HFSession
from fmtbench.errors import UserError


class Shape(NamedTuple):
    """The sizes that decide how fast a decoder-only model is."""

    vocabulary: int
    hidden: int
    inner: int
    layers: int
    heads: int
    key_value_heads: int


SHAPES = {
    "7b": Shape(152_064, 3584, 18_944, 28, 28, 4),
    "tiny": Shape(50_000, 64, 128, 2, 4, 2),
}
"""`7b` is the shape of Qwen2.5-7B."""


def shaped(name: str, backbone: Backbone, options: HF, folder: Path) -> HFSession:
    """An open session of the shape, whose tokenizer is the backbone's, padded with extra tokens up to the shape's vocabulary.

    The tokenizer is written to `folder`, where the process that compiles grammars reads it. Raises `UserError` for an unknown
    shape.
    """
    if name not in SHAPES:
        raise UserError(f"shape={name}: allowed are {', '.join(SHAPES)}")
    shape = SHAPES[name]
    write_tokenizer(backbone, folder, shape.vocabulary)
    config = {
        "model_type": "qwen2",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.key_value_heads,
        "max_position_embeddings": 4096,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "model.safetensors").write_bytes(name.encode())  # a fingerprint for the weights, which are never read from the file
    return RandomSession(options, Backbone(name=f"random_{name}", path=str(folder), dtype="bfloat16"))


class RandomSession(HFSession):
    """A session whose weights are random instead of loaded from a file."""

    def _loaded(self, backbone: Backbone, device: str) -> Any:
        torch.manual_seed(0)
        with torch.device(device):
            return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(self._weights.source), dtype=torch.bfloat16)


def write_tokenizer(backbone: Backbone, folder: Path, size: int) -> None:
    """Save the backbone's tokenizer with extra words that no merge produces: masks cover them, and a random model writes them."""
    load_tokenizer(backbone.resolve()).save_pretrained(folder)
    path = folder / "tokenizer.json"
    written = json.loads(path.read_text(encoding="utf-8"))
    known: dict[str, int] = written["model"]["vocab"]
    taken = set(known.values()) | {token["id"] for token in written["added_tokens"]}
    free = (number for number in range(size) if number not in taken)
    known |= {f"word{number}": number for number in free if f"word{number}" not in known}
    path.write_text(json.dumps(written, ensure_ascii=False), encoding="utf-8")
