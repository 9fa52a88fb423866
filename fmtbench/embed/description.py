"""`fmtbench.json`, written beside an encoder or an adapter, so that neither is ever put on another backbone.

{"backbone": "smollm2_135m", "fingerprint": "5fc2...", "pooling": "mean", "attention": "bidirectional", "template": {...}, ...}
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fmtbench.backbone import Backbone
from fmtbench.embed.spec import EncoderSpec
from fmtbench.errors import UserError
from fmtbench.store.files import write_text

DESCRIPTION = "fmtbench.json"


@dataclass(frozen=True, kw_only=True)
class LoadedEncoder:
    """An encoder with its weights in memory."""

    model: Any
    """A `SentenceTransformer` of stock modules. Train it, save it, or encode with it; it takes rendered texts."""
    spec: EncoderSpec
    backbone: str
    """Name of the backbone; empty if the folder has none."""
    fingerprint: str
    """Identifies the backbone's weights; empty if the folder has none."""
    heads: Any = None
    """BGE-M3's `m3.Heads`, if they are trained or asked for."""


def describe(loaded: LoadedEncoder) -> dict[str, Any]:
    """The contents of `fmtbench.json`."""
    return {"backbone": loaded.backbone, "fingerprint": loaded.fingerprint, **loaded.spec.said()}


def write_description(folder: Path, loaded: LoadedEncoder) -> None:
    write_text(folder / DESCRIPTION, json.dumps(describe(loaded), indent=2, ensure_ascii=False) + "\n")


def read_description(folder: Path) -> dict[str, Any]:
    """The description; empty if the folder has none. Raises `UserError` if it cannot be read."""
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
    """Raises `UserError` if the folder was trained on other weights."""
    found = read_description(folder)
    if found and found.get("fingerprint") != backbone.resolve().fingerprint:
        raise UserError(
            f"{folder} was trained on backbone {found.get('backbone')!r} ({str(found.get('fingerprint'))[:12]}), "
            f"asked for is {backbone.name!r} ({backbone.resolve().fingerprint[:12]}): choose backbone={found.get('backbone')}"
        )
