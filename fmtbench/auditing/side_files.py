"""config.yaml and manifest.json: the manifest has checksums of itself, of the config and of the items."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fmtbench.auditing.findings import Finding, why_unread
from fmtbench.store.folder import CHECKSUM, Planned, checksum
from fmtbench.store.provenance import items_hash

UNRECORDED = "no checksum of it was recorded, because an older version made it: it is checked only where rows follow from it"


def read_manifest(path: Path) -> tuple[dict[str, Any], list[Finding], list[str]]:
    """The manifest, what is wrong with it, and what could not be checked."""
    name = "manifest.json"
    if why := why_unread(path):
        return {}, [Finding(file=name, what=why)], []
    try:
        facts = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        return {}, [Finding(file=name, what=f"is not JSON ({error})")], []
    if not isinstance(facts, dict):
        return {}, [Finding(file=name, what=f"holds a {type(facts).__name__}, not an object")], []
    if not {CHECKSUM, "config_sha256"} & facts.keys():
        return facts, [], [f"{name}: {UNRECORDED}"]
    is_now = checksum(facts)
    if (told := facts.get(CHECKSUM)) != is_now:
        what = f"its checksum is {str(told)[:12]}, and that of what it says {is_now[:12]}"
        return facts, [Finding(file=name, what=what)], []
    return facts, [], []


def check_config(path: Path, manifest: Mapping[str, Any]) -> tuple[list[Finding], list[str]]:
    """Is the config the one that the manifest was written for?"""
    name = "config.yaml"
    if why := why_unread(path):
        return [Finding(file=name, what=why)], []
    told = manifest.get("config_sha256")
    if told is None:
        return [], [f"{name}: {UNRECORDED}"]
    is_now = hashlib.sha256(path.read_bytes()).hexdigest()
    what = f"its checksum is {is_now[:12]}, and manifest.json says {str(told)[:12]}"
    return ([Finding(file=name, what=what)] if told != is_now else []), []


def check_items(planned: Sequence[Planned], manifest: Mapping[str, Any]) -> list[Finding]:
    """Are the items those of the manifest: questions, golds, options and their order?"""
    told, is_now = manifest.get("items_sha256"), items_hash(one.item for one in planned)
    if told is None or told == is_now:
        return []
    return [
        Finding(file="requests.jsonl", what=f"the hash of its items is {is_now[:12]}, and manifest.json says {str(told)[:12]}")
    ]
