"""The drift of a results folder: rationales stripped to plain words, their vectors, the table and the figure.

python -m experiments.embed study=drift results=results/drift embedder=prompteol output=DIR
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from fmtbench.analysis.statistics.drift import GATE, Array, drift
from fmtbench.embed.embedder import Embedder
from fmtbench.errors import UserError
from fmtbench.readers.plain import plain_rationale, plain_reply

logger = logging.getLogger(__name__)

VIEWS = {"rationale": plain_rationale, "reply": plain_reply}
GROUP = ["backbone", "task", "prompt", "seed"]


def drift_table(rows: pd.DataFrame, embedders: Mapping[str, Any], open_one: Any, free: str, view: str) -> pd.DataFrame:
    """One line for each embedder, cell and condition except the free one. Raises `UserError` if nothing can be compared."""
    check_free(rows, free)
    texts = rows["text"].map(VIEWS[view])
    known = sorted(set(texts) - {""})
    if not known:
        raise UserError(f"every {view} is empty in plain words: try view=reply, or conditions under which the model reasons")
    lines: list[dict[str, Any]] = []
    complaints: list[str] = []
    for name, encoder in embedders.items():
        with open_one(encoder) as embedder:
            vectors = dict(zip(known, embed_all(embedder, name, known)))
        for cell, group in rows.assign(plain=texts).groupby(GROUP):
            found, wrong = _cell(group, vectors, free)
            lines += [dict(zip(GROUP, cell)) | {"embedder": name, "view": view} | one for one in found]
            complaints += [f"{'/'.join(map(str, cell))}: {complaint}" for complaint in wrong]
    for complaint in dict.fromkeys(complaints):
        logger.info("left out: %s", complaint)
    if not lines:
        raise UserError(complaints[0])
    return pd.DataFrame(lines)


def check_free(rows: pd.DataFrame, free: str) -> None:
    """Check what can be known before any weights are loaded. Raises `UserError`."""
    found = rows[rows["condition"] == free]
    if found.empty:
        there = ", ".join(sorted(set(rows["condition"])))
        raise UserError(f"there is no condition {free!r} to compare with: there are {there}; set free=")
    if found["sample"].nunique() < 2:
        raise UserError(f"{free} has one sample an item, and drift needs two: run it with sampling=sample5, or experiment=drift")


def embed_all(embedder: Embedder, name: str, texts: list[str]) -> Array:
    encoded = embedder.encode(texts, instruction="Retrieve semantically similar text.")
    if encoded.cut:
        logger.info("%s: %d of %d rationales were longer than the context and were cut", name, encoded.cut, len(texts))
    return encoded.vectors.astype(np.float64)


def _cell(group: pd.DataFrame, vectors: Mapping[str, Array], free: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The drifts for one backbone, task, prompt and seed, and a line for each that cannot be computed."""
    items = sorted(set(group["item_id"]))
    stacked = {str(name): _stack(one, items, vectors) for name, one in group.groupby("condition")}
    right = group.pivot_table(index="item_id", columns="condition", values="latent_correct", aggfunc="mean").reindex(items)
    found, wrong = [], []
    for name in stacked:
        if name == free and len(stacked) > 1:
            continue
        try:
            pair = {one: stacked[one] for one in (free, name) if one in stacked}
            loss = (right[free] - right[name]).to_numpy(float) if free in right else np.zeros(0)
            found += [asdict(one) for one in drift(pair, {name: loss}, free)]
        except UserError as error:
            wrong.append(str(error))
    return found, wrong


def _stack(group: pd.DataFrame, items: list[str], vectors: Mapping[str, Array]) -> Array:
    """The vectors as items x samples x dimensions (N x S x D), NaN where a rationale is empty or absent."""
    samples, place = sorted(set(group["sample"])), {item: i for i, item in enumerate(items)}
    stacked = np.full((len(items), len(samples), len(next(iter(vectors.values())))), np.nan)
    for item, sample, text in zip(group["item_id"], group["sample"], group["plain"]):
        if text in vectors:
            stacked[place[item], samples.index(sample)] = vectors[text]
    return stacked


def shown_drift(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text; where the gate failed, the figures would mean nothing and are left out."""

    def cell(line: Any, name: str, low: str = "", digits: int = 2) -> str:
        value = getattr(line, name)
        if not line.passed or np.isnan(value):
            return ""
        ends = f" [{getattr(line, low + '_low'):.{digits}f}, {getattr(line, low + '_high'):.{digits}f}]" if low else ""
        return f"{value:.{digits}f}{ends}"

    return pd.DataFrame(
        {
            "backbone": line.backbone,
            "task": line.task,
            "prompt": line.prompt,
            "condition": line.condition,
            "embedder": line.embedder,
            "n": str(line.items),
            "gate": f"{line.gate:.2f}{'' if line.passed else ' FAILED'}",
            "drift": cell(line, "drift", "drift"),
            "match": cell(line, "match"),
            "centred": cell(line, "match_centred"),
            "item": cell(line, "share_item"),
            "format": cell(line, "share_format"),
            "CKA": cell(line, "cka"),
            "null": cell(line, "cka_null"),
            "link to loss": cell(line, "link", "link"),
        }
        for line in table.itertuples()
    )


CAPTION = f"""\
Drift of rationales from free ones of the same items, in plain words: 0 is no more than asking again, 1 as far as another
item's free rationale, with a 95% bootstrap interval over items. **gate**: how often the nearest free sample is the same
item's; below {GATE} the embedder cannot tell items apart, and its figures are left out. **match**: the same from the
condition to free; **centred**: after each format's mean is taken off. **item**, **format**: shares of the variance.
**CKA**: debiased, with its value for permuted items. **link to loss**: Spearman's correlation over items of drift and
loss of latent accuracy.
"""
