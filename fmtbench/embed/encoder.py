"""An encoder: backbone x template x pooling x attention x optional adapter, as data.

    Encoder(backbone=backbone, pooling="last_token")                       raw text, EOS, causal, the last token
    SavedEncoder(path="trained", backbone=backbone)                        a folder that `save` wrote, or another's

Both become a `Loaded`: a stock sentence-transformers model (Transformer, Pooling, Normalize) and how it is to be used.
`save` writes it as a sentence-transformers folder that `SentenceTransformer(folder)` and vLLM's pooling runner load as
it stands, with `fmtbench.json` beside it, which says what it was made of.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from dataclasses import dataclass as plain_dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.backbone import Backbone
from fmtbench.embed.recipe import Attention, Pooling, Recipe
from fmtbench.embed.templates import Template
from fmtbench.errors import UserError

DESCRIPTION = "fmtbench.json"


@plain_dataclass(frozen=True, kw_only=True)
class Loaded:
    """An encoder with its weights in memory."""

    model: Any
    """A `SentenceTransformer` of stock modules: train it, save it, or encode with it (texts then come rendered)."""
    recipe: Recipe
    backbone: str
    """Name of the backbone; empty where the folder does not say."""
    fingerprint: str
    """What identifies the backbone's weights; empty where the folder does not say."""


class Loadable(Protocol):
    """What an engine opens."""

    def identity(self) -> str:
        """sha256 over everything that determines the vectors."""

    def load(self) -> Loaded:
        """Load the weights. Raises `UserError` where they cannot be had or contradict what was asked."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Encoder:
    """An encoder made of a backbone; nothing is loaded until `load`."""

    backbone: Backbone
    template: Template = Field(default_factory=Template)
    pooling: Pooling = "last_token"
    attention: Attention = "causal"
    append_eos: bool = True
    """By the tokenizer's post-processor, so that truncation keeps it."""
    include_prompt: bool = True
    """False pools only from the text on; the template's words before it are attended to, but left out."""
    adapter: str | None = None
    """A PEFT adapter's folder; it is merged into the weights."""
    max_tokens: int | None = Field(default=None, gt=1)
    """Longer texts are cut; null takes the backbone's context."""

    def recipe(self) -> Recipe:
        names = ("template", "pooling", "attention", "append_eos", "include_prompt")
        settings = {name: getattr(self, name) for name in names}
        return Recipe(**settings, max_tokens=self.max_tokens or self.backbone.context)

    def identity(self) -> str:
        adapter = sorted(_file_hashes(Path(self.adapter).expanduser())) if self.adapter else None
        weights = self.backbone.resolve().fingerprint
        return _sha256([weights, self.backbone.dtype, asdict(self.recipe()), adapter])

    def load(self) -> Loaded:
        from fmtbench.embed.loading import load_backbone

        return load_backbone(self.backbone, self.recipe(), self.adapter)


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class SavedEncoder:
    """A sentence-transformers folder of Transformer, Pooling and Normalize. Give `path`, or `package` with `file`."""

    path: str | None = None
    package: str | None = None
    """An installed Python package that carries the folder `file` as data; it is found, not imported."""
    file: str | None = None
    backbone: Backbone | None = None
    """The backbone that it must have been made from; null takes any."""
    template: Template | None = None
    """Null takes what the folder says; a folder that says nothing embeds the text alone."""
    pooling: Pooling | None = None
    """Null takes the folder's; another one is refused."""
    max_tokens: int | None = Field(default=None, gt=1)
    dimensions: int | None = Field(default=None, gt=0)
    """Only the first so many of each vector, for encoders trained with `matryoshka`; null takes the folder's, or all."""

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
        asked: list[Any] = [asdict(self.template) if self.template else None, self.max_tokens, self.dimensions]
        asked.append(self.backbone.dtype if self.backbone else "auto")
        return _sha256([sorted(_file_hashes(self.folder())), *asked])

    def load(self) -> Loaded:
        from fmtbench.embed.saved import load_saved

        return load_saved(self)


def _saved_folder(path: Path) -> Path:
    """The folder itself, or the one that experiments.train wrote inside."""
    path = path if (path / "modules.json").is_file() else path / "encoder" if (path / "encoder").is_dir() else path
    if not (path / "modules.json").is_file():
        raise UserError(f"saved encoder {path} holds no modules.json: give a folder that sentence-transformers can load")
    return path


def describe(loaded: Loaded) -> dict[str, Any]:
    """What `fmtbench.json` says."""
    return {"backbone": loaded.backbone, "fingerprint": loaded.fingerprint, **asdict(loaded.recipe)}


def write_description(folder: Path, loaded: Loaded) -> None:
    """Beside an encoder or an adapter, so that it is never put on another backbone."""
    (folder / DESCRIPTION).write_text(json.dumps(describe(loaded), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_description(folder: Path) -> dict[str, Any]:
    """Empty where the folder has none. Raises `UserError` where it cannot be read."""
    path = folder / DESCRIPTION
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): save the encoder again") from error
    if not isinstance(found, dict):
        raise UserError(f"{path} holds no JSON object: save the encoder again")
    return found


def check_backbone(folder: Path, backbone: Backbone) -> None:
    """Raises `UserError` where the folder says that it was trained on other weights."""
    said = read_description(folder)
    if said and said.get("fingerprint") != backbone.resolve().fingerprint:
        raise UserError(
            f"{folder} was trained on backbone {said.get('backbone')!r} ({str(said.get('fingerprint'))[:12]}), "
            f"asked for is {backbone.name!r} ({backbone.resolve().fingerprint[:12]}): choose backbone={said.get('backbone')}"
        )


def _file_hashes(folder: Path) -> list[tuple[str, str]]:
    if not folder.is_dir():
        raise UserError(f"adapter {folder} is no folder: give the folder that holds adapter_config.json")
    found = []
    for path in folder.rglob("*"):
        if path.suffix in (".json", ".safetensors", ".bin", ".txt", ".model"):
            with open(path, "rb") as stream:
                found.append((str(path.relative_to(folder)), hashlib.file_digest(stream, "sha256").hexdigest()))
    return found


def _sha256(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
