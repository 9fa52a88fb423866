"""HELM's raw requests: `scenario_state.json` of a run folder (HELM 0.5.16; the layout is that of its `RequestState`).

A request state is an instance, a request and its completions, each of which is a record. Correct references are accepted
answers; where the options were shown with letters (`output_mapping`), these are the choices.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fmtbench.running.importing.base import Found, Importer, Unreadable
from fmtbench.running.importing.document import Document

STATES = "request_states"
MODEL = re.compile(r"[:,]model=.*")
PARTS = {name: f"field:{name}" for name in ("backbone", "task", "prompt", "sample")} | {"item": "field:id"}


def helm_records(path: Path) -> Iterator[Found]:
    """Raises `UserError` where the file holds no request states."""
    document = Document(path, STATES)
    adapter = document.head.get("adapter_spec") or {}
    for number, state in enumerate(document, start=1):
        try:
            yield from _replies(state, adapter, MODEL.sub("", path.parent.name))
        except (KeyError, TypeError, AttributeError) as error:
            yield Unreadable(where=f"request {number}", reason=f"not as HELM writes it ({type(error).__name__}: {error})")
    if document.torn:
        yield Unreadable(where="at its end", reason=f"the file breaks off ({document.torn})")


def _replies(state: Mapping[str, Any], adapter: Mapping[str, Any], task: str) -> Iterator[Found]:
    instance, request, result = state["instance"], state["request"], state.get("result") or {}
    name = str(instance.get("id"))
    if changed := (instance.get("perturbation") or {}).get("name"):
        name = f"{name}@{changed}"
    if state.get("reference_index") is not None or request.get("echo_prompt"):
        yield Unreadable(where=f"instance {name}", reason="the likelihood of an option, and no reply")
        return
    mapping, right = state.get("output_mapping"), [one for one in instance["references"] if "correct" in one.get("tags", ())]
    texts = [one["output"]["text"] for one in right]
    common = {
        "backbone": adapter.get("model") or request.get("model"),
        "task": task,
        "prompt": f"trial{state.get('train_trial_index', 0)}",
        "id": name,
        "gold": [letter for letter, text in mapping.items() if text in texts] if mapping else texts,
        "choices": mapping,
        "stratum": instance.get("sub_split"),
    }
    for sample, one in enumerate(result.get("completions") or ()):
        reason = (one.get("finish_reason") or {}).get("reason")
        yield {**common, "sample": sample, "text": one["text"], "finish_reason": None if reason == "unknown" else reason}


def _known(path: Path, first: str) -> bool:
    return path.name.removesuffix(".gz") == "scenario_state.json" or (first.lstrip().startswith("{") and f'"{STATES}"' in first)


HELM = Importer(records=helm_records, known=_known, parts=PARTS)
