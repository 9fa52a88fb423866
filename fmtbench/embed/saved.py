"""A sentence-transformers folder as an encoder: ours, or another's such as all-MiniLM-L6-v2.

    SavedEncoder(path="trained", backbone=backbone)

Its settings are read and checked before its weights. A folder that would embed something else than was asked is an error.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.backbone import Backbone
from fmtbench.embed.description import LoadedEncoder, check_backbone, read_description
from fmtbench.embed.identity import file_hashes, sha256
from fmtbench.embed.loading import POOLING_MODES
from fmtbench.embed.spec import Attention, EncoderSpec, Pooling
from fmtbench.embed.templates import Template
from fmtbench.errors import UserError

LEGACY = {"pooling_mode_lasttoken": "last_token", "pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "first"}
"""Folders from before sentence-transformers 6 have one flag for each pooling."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class SavedEncoder:
    """A sentence-transformers folder of Transformer, Pooling and Normalize. Give `path`, or `package` with `file`."""

    path: str | None = None
    package: str | None = None
    """An installed Python package that carries the folder `file` as data; it is located, not imported."""
    file: str | None = None
    backbone: Backbone | None = None
    """The backbone that it must have been made from; null accepts any."""
    template: Template | None = None
    """Null takes the folder's; a folder without one embeds the text alone."""
    pooling: Pooling | None = None
    """Null takes the folder's; any other one is an error."""
    max_tokens: int | None = Field(default=None, gt=1)
    dimensions: int | None = Field(default=None, gt=0)
    """Keep only this many dimensions, for encoders trained with `matryoshka`; null keeps the folder's, or all."""

    def folder(self) -> Path:
        if self.path is not None:
            return _saved_folder(Path(self.path).expanduser())
        spec = find_spec(self.package) if self.package and self.file else None
        places = [Path(place, str(self.file)) for place in (spec.submodule_search_locations or [] if spec else [])]
        if found := next((place for place in places if place.is_dir()), None):
            return _saved_folder(found)
        raise UserError(
            f"no saved encoder: path is not set, and package '{self.package}' with folder '{self.file}' is not installed; "
            f"set path, or pip install {str(self.package).replace('_', '-')}"
        )

    def identity(self) -> str:
        """sha256 of everything that determines the vectors."""
        asked: list[Any] = [asdict(self.template) if self.template else None, self.max_tokens, self.dimensions]
        asked.append(self.backbone.dtype if self.backbone else "auto")
        return sha256([file_hashes(self.folder()), *asked])

    def published(self) -> tuple[str, str] | None:
        """Hub id and commit."""
        return None

    def load(self) -> LoadedEncoder:
        """Load the model of the folder. Raises `UserError` where its settings contradict what was asked."""
        from sentence_transformers import SentenceTransformer

        spec, folder = saved_spec(self), self.folder()
        dtype = self.backbone.dtype if self.backbone else "auto"
        model = SentenceTransformer(str(folder), local_files_only=True, model_kwargs={"dtype": dtype, "use_safetensors": True})
        described = read_description(folder)
        backbone, fingerprint = (described.get(name, "") for name in ("backbone", "fingerprint"))
        return LoadedEncoder(model=model, spec=spec, backbone=backbone, fingerprint=fingerprint)


def saved_spec(encoder: SavedEncoder) -> EncoderSpec:
    """What the folder's files say, checked against each other and against what was asked."""
    folder = encoder.folder()
    described = read_description(folder)
    if encoder.backbone:
        _check_names_backbone(folder, described)
        check_backbone(folder, encoder.backbone)
    pooling, include_prompt = _pooling(folder)
    _check_pooling(folder, described, pooling, encoder.pooling)
    return EncoderSpec(
        template=encoder.template or Template(**described.get("template", {})),
        pooling=pooling,
        attention=_attention(folder, described),
        append_eos=described.get("append_eos", False),
        include_prompt=include_prompt,
        max_tokens=min(filter(None, (encoder.max_tokens, *_limits(folder)))),
        dimensions=encoder.dimensions or described.get("dimensions"),
    )


def _saved_folder(path: Path) -> Path:
    """The folder itself, or the one that experiments.train wrote inside it."""
    path = path if (path / "modules.json").is_file() else path / "encoder" if (path / "encoder").is_dir() else path
    if not (path / "modules.json").is_file():
        raise UserError(f"saved encoder {path} holds no modules.json: give a folder that sentence-transformers can load")
    return path


def _pooling(folder: Path) -> tuple[Pooling, bool]:
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    types = [str(module["type"]) for module in modules]
    names = [kind.rsplit(".", 1)[-1] for kind in types]
    stock = all(kind.startswith("sentence_transformers.") for kind in types)  # any other would be code of the folder's own
    if not stock or names[:2] != ["Transformer", "Pooling"] or names[2:] not in ([], ["Normalize"]):
        raise UserError(
            f"saved encoder {folder} has the modules {types}: supported are Transformer, Pooling, Normalize of its library"
        )
    config = _config(folder / modules[1]["path"] / "config.json")
    old = [ours for theirs, ours in LEGACY.items() if config.get(theirs)]
    new = [ours for ours, theirs in POOLING_MODES.items() if theirs == config.get("pooling_mode")]
    found: list[Any] = new or old
    if len(found) != 1:
        raise UserError(f"saved encoder {folder} pools by {config}: supported is one of {', '.join(POOLING_MODES.values())}")
    return found[0], config.get("include_prompt", True)


def _attention(folder: Path, described: dict[str, Any]) -> Attention | None:
    causal = _config(folder / "config.json").get("is_causal")
    if causal is None:
        return described.get("attention")
    return "causal" if causal else "bidirectional"


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


def _check_pooling(folder: Path, described: dict[str, Any], found: Pooling, asked: Pooling | None) -> None:
    for name, other in (("asked for is", asked), ("its fmtbench.json says", described.get("pooling"))):
        if other is not None and other != found:
            raise UserError(f"saved encoder {folder} pools by {found}, {name} {other}: leave pooling out, or save it again")


def _check_names_backbone(folder: Path, described: dict[str, Any]) -> None:
    if not described:
        raise UserError(f"saved encoder {folder} does not name its backbone (no fmtbench.json): set its backbone to null")
