"""A sentence-transformers folder as an encoder: our own, or another such as all-MiniLM-L6-v2, local or from the hub.

    SavedEncoder(path="trained", backbone=backbone)
    SavedEncoder(hub_id="intfloat/multilingual-e5-small", revision="fd1525a9fd15316a2d503bf26ab031a61d056e98")

Its settings are read and checked before its weights. A folder that would embed something other than what was asked is an error.
"""

from __future__ import annotations

from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.backbone import Backbone, Dtype
from fmtbench.embed import folder as files
from fmtbench.embed.attention import set_attention
from fmtbench.embed.description import LoadedEncoder, check_backbone, read_description
from fmtbench.embed.hub import hub_folder
from fmtbench.embed.identity import file_hashes, sha256
from fmtbench.embed.loading import append_eos
from fmtbench.embed.spec import Attention, EncoderSpec, Pooling
from fmtbench.embed.templates import Template
from fmtbench.errors import UserError


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class SavedEncoder:
    """A sentence-transformers folder of Transformer, Pooling, Dense and Normalize.

    Give `path`, `hub_id`, or `package` with `file`; a path takes precedence over a hub id.
    """

    path: str | None = None
    package: str | None = None
    """An installed Python package that carries the folder `file` as data; it is located, not imported."""
    file: str | None = None
    hub_id: str | None = None
    revision: str | None = None
    """Commit of the hub repository; null takes what the hub or its local cache calls `main`."""
    backbone: Backbone | None = None
    """The backbone that it must have been made from; null accepts any."""
    dtype: Dtype = "auto"
    """`auto` is the dtype in which the weights are stored; with a backbone, the backbone's dtype counts."""
    template: Template | None = None
    """Null takes the folder's template or prompts; a folder without either embeds the text alone."""
    pooling: Pooling | None = None
    """Null takes the folder's; any other one is an error."""
    attention: Attention | None = None
    """Null takes the folder's, or the model's own if the folder does not say."""
    append_eos: bool | None = None
    """Null leaves the tokenizer as it is; true has it end every text with EOS, once."""
    max_tokens: int | None = Field(default=None, gt=1)
    dimensions: int | None = Field(default=None, gt=0)
    """Keep only this many dimensions, for encoders trained with `matryoshka`; null keeps the folder's, or all."""

    def folder(self) -> Path:
        if self.path is not None:
            return _saved_folder(Path(self.path).expanduser())
        if self.hub_id is not None:
            return _saved_folder(hub_folder(self.hub_id, self.revision))
        spec = find_spec(self.package) if self.package and self.file else None
        places = [Path(place, str(self.file)) for place in (spec.submodule_search_locations or [] if spec else [])]
        if found := next((place for place in places if place.is_dir()), None):
            return _saved_folder(found)
        carried = f", and package '{self.package}' with folder '{self.file}' is not installed" if self.package else ""
        remedy = f"; or pip install {self.package.replace('_', '-')}" if self.package else ""
        raise UserError(f"no saved encoder: path and hub_id are not set{carried}: give path=FOLDER or hub_id=ORG/NAME{remedy}")

    def identity(self) -> str:
        """sha256 of everything that determines the vectors."""
        asked: list[Any] = [_said(self.template), self.max_tokens, self.dimensions, self._dtype()]
        if (self.attention, self.append_eos) != (None, None):
            asked.append([self.attention, self.append_eos])
        published = self.published()
        return sha256([list(published) if published else file_hashes(self.folder()), *asked])

    def published(self) -> tuple[str, str] | None:
        """Hub id and commit; None for a folder that is not from the hub."""
        return (self.hub_id, self.folder().name) if self.hub_id and self.path is None else None

    def _dtype(self) -> Dtype:
        return self.backbone.dtype if self.backbone else self.dtype

    def load(self) -> LoadedEncoder:
        """Load the folder's model. Raises `UserError` if its settings contradict what was asked."""
        from sentence_transformers import SentenceTransformer

        spec, folder = saved_spec(self), self.folder()
        kwargs = {"dtype": self._dtype(), "use_safetensors": True}
        model = SentenceTransformer(str(folder), local_files_only=True, model_kwargs=kwargs)
        ready(model.tokenizer, spec)
        set_attention(model.transformers_model, self.attention)
        described = read_description(folder)
        backbone, fingerprint = (described.get(name, "") for name in ("backbone", "fingerprint"))
        return LoadedEncoder(model=model, spec=spec, backbone=backbone or self.hub_id or "", fingerprint=fingerprint)


def ready(tokenizer: Any, spec: EncoderSpec) -> None:
    """Have the tokenizer pad, and end texts as the spec says."""
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if spec.append_eos:
        append_eos(tokenizer)


def saved_spec(encoder: SavedEncoder) -> EncoderSpec:
    """The settings in the folder's files, checked against each other and against what was asked."""
    folder = encoder.folder()
    described = read_description(folder)
    if encoder.backbone:
        _check_names_backbone(folder, described)
        check_backbone(folder, encoder.backbone)
    files.check_architecture(folder)
    pooling, include_prompt = files.pooling(folder)
    _check_pooling(folder, described, pooling, encoder.pooling)
    return EncoderSpec(
        template=encoder.template or files.template(folder, described),
        pooling=pooling,
        attention=encoder.attention or files.attention(folder, described),
        append_eos=described.get("append_eos", False) if encoder.append_eos is None else encoder.append_eos,
        include_prompt=include_prompt,
        max_tokens=min(filter(None, (encoder.max_tokens, *files.limits(folder)))),
        dimensions=encoder.dimensions or described.get("dimensions"),
        projections=files.projections(folder),
        layers=described.get("layers"),
        skip_first=described.get("skip_first", False),
    )


def _said(template: Template | None) -> dict[str, Any] | None:
    """The template for the hash, which is older than `by_task`."""
    return None if template is None else {name: value for name, value in asdict(template).items() if value or name != "by_task"}


def _saved_folder(path: Path) -> Path:
    """The folder itself, or the one that experiments.train wrote inside it."""
    path = path if (path / "modules.json").is_file() else path / "encoder" if (path / "encoder").is_dir() else path
    if not (path / "modules.json").is_file():
        raise UserError(f"saved encoder {path} holds no modules.json: give a folder that sentence-transformers can load")
    return path


def _check_pooling(folder: Path, described: dict[str, Any], found: Pooling, asked: Pooling | None) -> None:
    for name, other in (("asked for is", asked), ("its fmtbench.json says", described.get("pooling"))):
        if other is not None and other != found:
            raise UserError(f"saved encoder {folder} pools by {found}, {name} {other}: leave pooling out, or save it again")


def _check_names_backbone(folder: Path, described: dict[str, Any]) -> None:
    if not described:
        raise UserError(f"saved encoder {folder} does not name its backbone (no fmtbench.json): set its backbone to null")
