"""A sentence-transformers folder: what it says of itself, without its weights, and then with them.

Ours or another's, such as all-MiniLM-L6-v2. What would embed something else than was asked is refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fmtbench.embed.encoder import Loaded, SavedEncoder, check_backbone, read_description
from fmtbench.embed.loading import NAMES
from fmtbench.embed.recipe import Attention, Pooling, Recipe
from fmtbench.embed.templates import Template
from fmtbench.errors import UserError

LEGACY = {"pooling_mode_lasttoken": "last_token", "pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "first"}
"""How folders of before sentence-transformers 6 say it: one truth value each."""


def load_saved(encoder: SavedEncoder) -> Loaded:
    """The model of the folder. Raises `UserError` where its settings contradict what was asked."""
    from sentence_transformers import SentenceTransformer

    recipe, folder = saved_recipe(encoder), encoder.folder()
    dtype = encoder.backbone.dtype if encoder.backbone else "auto"
    model = SentenceTransformer(str(folder), local_files_only=True, model_kwargs={"dtype": dtype})
    said = read_description(folder)
    return Loaded(model=model, recipe=recipe, backbone=said.get("backbone", ""), fingerprint=said.get("fingerprint", ""))


def saved_recipe(encoder: SavedEncoder) -> Recipe:
    """What the folder's files say, checked against each other and against what was asked."""
    folder = encoder.folder()
    said = read_description(folder)
    if encoder.backbone:
        _check_says_backbone(folder, said)
        check_backbone(folder, encoder.backbone)
    pooling, include_prompt = _pooling(folder)
    _check_pooling(folder, said, pooling, encoder.pooling)
    return Recipe(
        template=encoder.template or Template(**said.get("template", {})),
        pooling=pooling,
        attention=_attention(folder, said),
        append_eos=said.get("append_eos", False),
        include_prompt=include_prompt,
        max_tokens=min(filter(None, (encoder.max_tokens, *_limits(folder)))),
        dimensions=encoder.dimensions or said.get("dimensions"),
    )


def _pooling(folder: Path) -> tuple[Pooling, bool]:
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    names = [module["type"].rsplit(".", 1)[-1] for module in modules]
    if names[:2] != ["Transformer", "Pooling"] or names[2:] not in ([], ["Normalize"]):
        raise UserError(f"saved encoder {folder} has the modules {names}: supported are Transformer, Pooling and Normalize")
    config = _config(folder / modules[1]["path"] / "config.json")
    old = [ours for theirs, ours in LEGACY.items() if config.get(theirs)]
    new = [ours for ours, theirs in NAMES.items() if theirs == config.get("pooling_mode")]
    found: list[Any] = new or old
    if len(found) != 1:
        raise UserError(f"saved encoder {folder} pools by {config}: supported is one of {', '.join(NAMES.values())}")
    return found[0], config.get("include_prompt", True)


def _attention(folder: Path, said: dict[str, Any]) -> Attention | None:
    causal = _config(folder / "config.json").get("is_causal")
    return said.get("attention") if causal is None else "causal" if causal else "bidirectional"


def _limits(folder: Path) -> list[int]:
    own = _config(folder / "sentence_bert_config.json")
    if "message" in own.get("modality_config", {}):
        raise UserError(f"saved encoder {folder} wraps texts in a chat template: pin modality_config to text and save it again")
    found = [own.get("max_seq_length"), _config(folder / "tokenizer_config.json").get("model_max_length")]
    return [int(limit) for limit in [*found, _config(folder / "config.json").get("max_position_embeddings")] if limit]


def _config(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}): save the encoder again") from error


def _check_pooling(folder: Path, said: dict[str, Any], found: Pooling, asked: Pooling | None) -> None:
    for name, other in (("asked for is", asked), ("its fmtbench.json says", said.get("pooling"))):
        if other is not None and other != found:
            raise UserError(f"saved encoder {folder} pools by {found}, {name} {other}: leave pooling out, or save it again")


def _check_says_backbone(folder: Path, said: dict[str, Any]) -> None:
    if not said:
        raise UserError(f"saved encoder {folder} does not say its backbone (no fmtbench.json): set its backbone to null")
