"""A corpus as represented by several heads, kept in a folder, so that all rows of a table search the result of one pass.

    index.json     what it belongs to: the encoder's identity, a hash of the documents, the heads
    dense.npy, sparse.npz, tokens.f32, spans.npy

The tokens' vectors are the bulk (4 KB per token for BGE-M3) and stay on disk.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fmtbench.embed.representations import Represented
from fmtbench.errors import UserError
from fmtbench.saving import saving
from fmtbench.store.files import write_text

logger = logging.getLogger(__name__)

ABOUT = "index.json"


def indexed(
    folder: Path, identity: str, heads: Sequence[str], content: Sequence[str], make: Callable[[BinaryIO], Represented]
) -> Represented:
    """The corpus in the folder if it has this content, else made now and kept.

    Raises `UserError` if another encoder made it: its vectors would be compared with this encoder's queries.
    """
    whole = hashlib.sha256(json.dumps(list(content)).encode()).hexdigest()
    asked = {"encoder": identity, "heads": sorted(heads), "documents": whole}
    found = _about(folder)
    if found and found.get("encoder") != identity:
        raise UserError(
            f"{folder} is the index of another encoder ({str(found.get('encoder'))[:12]}, asked for is {identity[:12]}): "
            "give another output, or delete it"
        )
    if {name: found.get(name) for name in asked} != asked:
        logger.info("indexing the documents: %s", folder)
        _write(folder, asked, make)
        return _read(folder)._replace(spared=0.0)
    return _read(folder)


def _about(folder: Path) -> dict[str, Any]:
    path = folder / ABOUT
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}): delete its folder, and it is made again") from error


def _write(folder: Path, about: dict[str, Any], make: Callable[[BinaryIO], Represented]) -> None:
    """Write the folder, which appears only once it is complete."""
    from scipy.sparse import save_npz

    folder.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        part = Path(tempfile.mkdtemp(prefix=f"{folder.name}.part-", dir=folder.parent))
        stack.callback(shutil.rmtree, part, ignore_errors=True)
        with saving(folder):
            started = time.monotonic()
            with open(part / "tokens.f32", "wb") as store:
                made = make(store)
            seconds = round(time.monotonic() - started, 2)
            np.save(part / "dense.npy", made.dense_ND)
            np.save(part / "spans.npy", made.spans_N2)
            if made.sparse_NV is not None:
                save_npz(part / "sparse.npz", made.sparse_NV)
        found = {"tokens": made.tokens, "cut": made.cut, "seconds": seconds}
        write_text(part / ABOUT, json.dumps(about | found, indent=2) + "\n")
        if folder.exists():
            shutil.rmtree(folder)
        part.rename(folder)


def _read(folder: Path) -> Represented:
    from scipy.sparse import load_npz

    about, spans, file = _about(folder), np.load(folder / "spans.npy", allow_pickle=False), folder / "tokens.f32"
    count = int(spans.max(initial=0))
    return Represented(
        dense_ND=np.load(folder / "dense.npy", allow_pickle=False),
        sparse_NV=load_npz(folder / "sparse.npz") if (folder / "sparse.npz").is_file() else None,
        tokens_TM=np.memmap(file, np.float32, "r").reshape(count, -1) if count else None,
        spans_N2=spans,
        tokens=about["tokens"],
        cut=about["cut"],
        spared=about.get("seconds", 0.0),
    )
