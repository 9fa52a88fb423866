"""What `experiments.embed texts=FILE` reads and writes: texts in, vectors out.

{"id": "a1", "text": "The capital of Peru is Lima."}
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fmtbench.embed.embedder import Vectors
from fmtbench.errors import UserError
from fmtbench.store.files import replacing, write_text
from fmtbench.types import whole

logger = logging.getLogger(__name__)


def check_texts(rows: Iterable[Mapping[str, Any]], name: str) -> list[dict[str, str]]:
    """`id` and `text` of each row. Raises `UserError`, naming the row, where one is missing, empty or repeated."""
    found: dict[str, str] = {}
    halves = 0
    for number, row in enumerate(rows, start=1):
        identity, text = row.get("id"), row.get("text")
        if not isinstance(identity, str | int) or not isinstance(text, str):
            raise UserError(f"{name}, row {number}: needs 'id' and 'text', has {sorted(row)}")
        if not text.strip():
            raise UserError(f"{name}, row {number} (id {identity!r}): the text is empty: leave the row out")
        if str(identity) in found:
            raise UserError(f"{name}, row {number}: id {identity!r} occurs twice: every text needs its own")
        found[str(identity)], broken = whole(text)
        halves += broken
    if not found:
        raise UserError(f"{name} holds no texts: give JSON lines with id and text")
    if halves:
        logger.warning("%s: %d halves of character pairs were replaced by U+FFFD", name, halves)
    return [{"id": identity, "text": text} for identity, text in found.items()]


def write_vectors(folder: Path, ids: Sequence[str], vectors: Vectors, facts: Mapping[str, Any]) -> None:
    """`vectors.parquet` (id, vector) and `manifest.json`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    flat = pa.array(vectors.reshape(-1), pa.float32())
    table = pa.table({"id": pa.array(ids, pa.string()), "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])})
    with replacing(folder / "vectors.parquet") as part:
        pq.write_table(table, part)
    write_text(folder / "manifest.json", json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
