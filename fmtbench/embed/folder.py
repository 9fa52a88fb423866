"""The settings in a sentence-transformers folder of any version, read before any weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fmtbench.embed.loading import POOLING_MODES
from fmtbench.embed.spec import Attention, Pooling
from fmtbench.embed.templates import Template
from fmtbench.errors import UserError

LEGACY = {
    "pooling_mode_lasttoken": "last_token",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_weightedmean_tokens": "weighted_mean",
    "pooling_mode_cls_token": "first",
}
"""Folders from before sentence-transformers 6 have one flag for each pooling."""
DOCUMENT = ("document", "passage", "corpus")
"""Names of the prompt for documents; the first non-empty one counts. sentence-transformers 6 does the same, but gives every
folder that it loads an empty `document`, which hides the others."""
SHIFTED = ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet")
"""Model types whose position ids start after the padding token's id."""


def modules(folder: Path) -> list[tuple[str, Path]]:
    """Kind and folder of each module. Raises `UserError` for one that is not sentence-transformers' own, or out of order."""
    listed = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    types = [str(module["type"]) for module in listed]
    names = [kind.rsplit(".", 1)[-1] for kind in types]
    stock = all(kind.startswith("sentence_transformers.") for kind in types)  # any other would be code from the folder
    after = [name for name in names[2:-1] if name != "Dense"] + [
        name for name in names[2:][-1:] if name not in ("Dense", "Normalize")
    ]
    if not stock or names[:2] != ["Transformer", "Pooling"] or after:
        raise UserError(
            f"saved encoder {folder} has the modules {types}: supported are Transformer, Pooling, Dense, Normalize of its "
            "library; code of a folder is not run"
        )
    return [(name, folder / module["path"]) for name, module in zip(names, listed)]


def pooling(folder: Path) -> tuple[Pooling, bool]:
    """The pooling, and whether the prompt's words are pooled too."""
    config = read_config(modules(folder)[1][1] / "config.json")
    old = [ours for theirs, ours in LEGACY.items() if config.get(theirs)]
    new = [ours for ours, theirs in POOLING_MODES.items() if theirs == config.get("pooling_mode")]
    unknown = [
        name for name, value in config.items() if name.startswith("pooling_mode_") and value is True and name not in LEGACY
    ]
    found: list[Any] = new or old
    if len(found) != 1 or unknown:
        raise UserError(f"saved encoder {folder} pools by {config}: supported is one of {', '.join(POOLING_MODES.values())}")
    return found[0], config.get("include_prompt", True)


def projections(folder: Path) -> int:
    """How many Dense modules follow the pooling. Raises `UserError` if their widths do not fit together."""
    listed = modules(folder)
    width = read_config(listed[0][1] / "config.json").get("hidden_size")
    dense = [place for name, place in listed if name == "Dense"]
    for place in dense:
        config = read_config(place / "config.json")
        if width is not None and config.get("in_features") != width:
            raise UserError(
                f"{place} takes {config.get('in_features')} dimensions, what comes before it gives {width}: wrong folder"
            )
        width = config.get("out_features")
    return len(dense)


def attention(folder: Path, described: dict[str, Any]) -> Attention | None:
    causal = read_config(folder / "config.json").get("is_causal")
    if causal is None:
        return described.get("attention")
    return "causal" if causal else "bidirectional"


def check_architecture(folder: Path) -> None:
    """Raises `UserError` if only the folder's own code knows the model, or its weights are not safetensors."""
    from transformers import CONFIG_MAPPING

    kind = read_config(folder / "config.json").get("model_type")
    if kind not in CONFIG_MAPPING:
        raise UserError(f"{folder} is of the type {kind!r}, which transformers does not know: code of a folder is not run")


def limits(folder: Path) -> list[int]:
    """Every bound on the tokens of a text. Raises `UserError` if the folder would embed something other than the text."""
    if "message" in read_config(folder / "sentence_bert_config.json").get("modality_config", {}):
        raise UserError(f"saved encoder {folder} wraps texts in a chat template: pin modality_config to text and save it again")
    return lengths(folder)


def lengths(folder: Path) -> list[int]:
    """The limits on the tokens of a text that the files state."""
    own, config = read_config(folder / "sentence_bert_config.json"), read_config(folder / "config.json")
    positions = config.get("max_position_embeddings")
    if positions and config.get("model_type") in SHIFTED:
        positions -= (config.get("pad_token_id") or 0) + 1
    found = [own.get("max_seq_length"), read_config(folder / "tokenizer_config.json").get("model_max_length"), positions]
    return [int(limit) for limit in found if limit]


def template(folder: Path, described: dict[str, Any]) -> Template:
    """The template in `fmtbench.json`, or the folder's prompts: `query`, `document` (`passage`), and one per kind of task."""
    if "template" in described:
        return Template(**described["template"])
    prompts = read_config(folder / "config_sentence_transformers.json").get("prompts") or {}
    words = {name: f"{prompt or ''}{{text}}" for name, prompt in prompts.items()}
    document = next((words[name] for name in DOCUMENT if prompts.get(name)), "{text}")
    kinds = {name: text for name, text in words.items() if name not in ("query", *DOCUMENT)}
    try:
        return Template(query=words.get("query", "{text}"), document=document, by_task=kinds)
    except ValueError as error:
        raise UserError(f"saved encoder {folder} has prompts with names in braces, {prompts}: give template= instead") from error


def read_config(path: Path) -> dict[str, Any]:
    """A JSON file of the folder; empty if there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}): save the encoder again") from error
