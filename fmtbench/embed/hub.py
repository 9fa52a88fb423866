"""Encoders and adapters from the Hugging Face hub as folders on this machine. Code of a repository is never downloaded.

`ORG/NAME@COMMIT` names a revision. If a repository has its weights only as a pickle, as BAAI/bge-m3 does, torch's restricted
unpickler reads it, which makes tensors and runs nothing, and a copy as safetensors is written to the cache, once.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import tempfile
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import Any

from fmtbench.backbone import cache_folder
from fmtbench.errors import UserError
from fmtbench.saving import saving

logger = logging.getLogger(__name__)

FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "sparse_linear.pt", "colbert_linear.pt"]
LEFT_OUT = ["onnx/*", "openvino/*", "original/*"]
PICKLE = "pytorch_model.bin"
NAMED = re.compile(r"[\w.-]+/[\w.-]+(@[\w.-]+)?")


def is_hub_id(name: str) -> bool:
    """Whether a name is a hub id and not a local folder."""
    return bool(NAMED.fullmatch(name)) and not name.startswith(".") and not Path(name).exists()


@lru_cache(maxsize=64)
def hub_folder(hub_id: str, revision: str | None = None) -> Path:
    """The files of a repository, from the local cache if all are there; the folder is named after the commit.

    Raises `UserError` if the repository does not exist, is gated, or cannot be reached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    hub_id, _, commit = hub_id.partition("@")
    revision = revision or commit or None
    try:
        folder = Path(snapshot_download(hub_id, revision=revision, allow_patterns=FILES, ignore_patterns=LEFT_OUT))
        if next(folder.rglob("*.safetensors"), None):
            return folder
        snapshot_download(hub_id, revision=revision, allow_patterns=PICKLE)
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError, ValueError) as error:
        raise UserError(
            f"cannot find {hub_id} at revision {revision or 'main'} in the local cache or on the hub ({type(error).__name__}): "
            "give path= with a local folder, or go online (gated models need HF_TOKEN and their licence accepted)"
        ) from error
    return _converted(hub_id, folder)


def _converted(hub_id: str, folder: Path) -> Path:
    """A copy of the folder with its pickle as safetensors."""
    from filelock import FileLock

    if not (folder / PICKLE).is_file():
        raise UserError(f"{hub_id} holds no weights as safetensors, and no {PICKLE}: choose a repository or revision that does")
    made = cache_folder() / "hub" / hub_id.replace("/", "--") / folder.name
    made.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{made}.lock"):
        if not made.is_dir():
            logger.info("writing the weights of %s as safetensors (once): %s", hub_id, made)
            _convert(folder, made)
    return made


def read_tensors(path: Path) -> Any:
    """The tensors in a pickle, by torch's restricted unpickler. Raises `UserError` for any other pickle, which is not run."""
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):  # the machine's fault, not the file's
        raise
    except Exception as error:  # whoever wrote the file decides what the unpickler raises: any error is the file's
        raise UserError(f"{path} is no file of tensors ({type(error).__name__}): it is not read") from error


def _convert(folder: Path, made: Path) -> None:
    from safetensors.torch import save_file

    for leftover in made.parent.glob(f"{made.name}.part-*"):
        shutil.rmtree(leftover)
    part = Path(tempfile.mkdtemp(prefix=f"{made.name}.part-", dir=made.parent))
    with ExitStack() as stack, saving(made):
        stack.callback(shutil.rmtree, part, ignore_errors=True)
        shutil.copytree(folder, part, dirs_exist_ok=True, ignore=shutil.ignore_patterns(PICKLE))
        state = read_tensors(folder / PICKLE)
        save_file({name: one.contiguous().clone() for name, one in state.items()}, part / "model.safetensors", {"format": "pt"})
        os.replace(part, made)
