"""lm-evaluation-harness: `samples_<task>_<time>.jsonl`, as `--log_samples` writes them (0.4.13).

A line is a document under one filter; filters change what was extracted and not the reply, so those of the first filter are
read. `resps` holds a request's repeats, each of which is a sample.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fmtbench.running.importing.base import Found, Importer, Unreadable
from fmtbench.running.importing.lines import json_lines

NAME = re.compile(r"samples_(?P<task>.+)_\d{4}-\d\d-\d\dT[\d.-]+\.jsonl(?:\.gz)?")
PARTS = {name: f"field:{name}" for name in ("backbone", "task", "sample")} | {"item": "field:doc_id"}


def lm_eval_records(path: Path) -> Iterator[Found]:
    named, first = NAME.fullmatch(path.name), None
    common = {"backbone": path.parent.name or "lm_eval", "task": named["task"] if named else path.name.partition(".")[0]}
    for number, line in enumerate(json_lines(path), start=1):
        if isinstance(line, Unreadable):
            yield line
            continue
        first = line.get("filter") if first is None else first
        if line.get("filter") == first:
            yield from _replies(line, number, common)


def _replies(line: Mapping[str, Any], number: int, common: Mapping[str, Any]) -> Iterator[Found]:
    asked = line.get("resps")
    if not isinstance(asked, list) or len(asked) != 1 or not isinstance(asked[0], list) or not _texts(asked[0]):
        yield Unreadable(where=f"line {number}", reason="resps hold no text, so that it was no request to generate")
        return
    doc = line.get("doc") if isinstance(line.get("doc"), Mapping) else {}
    assert isinstance(doc, Mapping)
    own = line.get("fmtbench")
    start = own.get("sample", 0) if isinstance(own, Mapping) else 0
    for sample, text in enumerate(asked[0]):
        yield {**line, **common, "text": text, "gold": line.get("target"), "choices": _choices(doc), "sample": start + sample}


def _texts(resps: list[Any]) -> bool:
    return bool(resps) and all(isinstance(one, str) for one in resps)


def _choices(doc: Mapping[str, Any]) -> Any:
    """A list, or the texts of labelled ones, as ARC and CommonsenseQA have them."""
    choices = doc.get("choices")
    return choices.get("text") if isinstance(choices, Mapping) and isinstance(choices.get("text"), list) else choices


def _known(path: Path, first: str) -> bool:
    return NAME.fullmatch(path.name) is not None or ('"doc_id"' in first and '"resps"' in first)


LM_EVAL = Importer(records=lm_eval_records, known=_known, parts=PARTS)
