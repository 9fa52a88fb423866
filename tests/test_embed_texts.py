"""A file of texts as vectors: in chunks, resumed by the same command, in the memory of one chunk."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fmtbench.embed.embedder import Encoded
from fmtbench.embed.vectors import PARTS, VectorFile, check_texts
from fmtbench.errors import UserError
from tests.commanding import command
from tests.tiny_backbone import write_backbone


def rows(count: int, words: int = 1) -> Iterator[dict[str, Any]]:
    return ({"id": i, "text": f"{i} " + "word " * words} for i in range(count))


def lengths(texts: Sequence[str]) -> Encoded:
    """The number that a text begins with, as a vector."""
    return Encoded(np.array([[float(text.split()[0]), 1.0] for text in texts], np.float32), len(texts), 1)


def test_a_killed_file_continues_with_the_chunks_that_are_missing(tmp_path: Path) -> None:
    asked: list[int] = []

    def killed(texts: Sequence[str]) -> Encoded:
        asked.append(len(texts))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return lengths(texts)

    file = VectorFile(tmp_path, {"identity": "x"})
    with pytest.raises(KeyboardInterrupt):
        file.fill(lambda: rows(10), "x", 10, 4, killed)
    assert file.manifest() is None
    assert not (tmp_path / "vectors.parquet").exists()
    asked.clear()
    other = VectorFile(tmp_path, {"identity": "another encoder"})
    other.fill(lambda: rows(10), "x", 10, 4, lambda texts: (asked.append(len(texts)), lengths(texts))[1])
    assert asked == [4, 4, 2], "what another encoder left is not taken"
    asked.clear()
    file.fill(lambda: rows(10), "x", 10, 4, lambda texts: (asked.append(len(texts)), lengths(texts))[1])
    assert asked == [2]
    found = file.join({"texts": 10}, 4)
    assert (found["tokens"], found["cut"]) == (10, 3)
    table = pd.read_parquet(tmp_path / "vectors.parquet")
    assert [one[0] for one in table.vector] == list(map(float, table.id)) == list(range(10))
    assert [pq.ParquetFile(tmp_path / "vectors.parquet").metadata.row_group(i).num_rows for i in range(3)] == [4, 4, 2]
    assert file.manifest() == found
    assert other.manifest() is None
    assert not (tmp_path / PARTS).exists()


@pytest.mark.parametrize("counts", [(400, 8000), pytest.param((10_000, 200_000), marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, counts: tuple[int, int]) -> None:
    """Twenty times the texts; what Python and Arrow hold at most is that of a chunk of 200 texts of a kilobyte."""
    peaks = []
    for count in counts:
        pa.default_memory_pool().release_unused()
        tracemalloc.start()
        checked = check_texts(lambda count=count: rows(count, 200), "x")  # type: ignore[misc]
        file = VectorFile(tmp_path / str(count), {})
        most = 0

        def encode(texts: Sequence[str]) -> Encoded:
            nonlocal most
            most = max(most, pa.total_allocated_bytes())
            return lengths(texts)

        file.fill(lambda count=count: rows(count, 200), "x", checked.texts, 200, encode)  # type: ignore[misc]
        file.join({}, 200)
        peaks.append(tracemalloc.get_traced_memory()[1] + most)
        tracemalloc.stop()
        assert checked.texts == count
    assert peaks[1] < 1.5 * peaks[0] < 4e6


def test_an_id_that_occurs_twice_far_apart_is_found() -> None:
    def twice() -> Iterator[dict[str, Any]]:
        yield from rows(5000)
        yield {"id": "17", "text": "again"}

    with pytest.raises(UserError, match="row 5001: id '17' occurs twice"):
        check_texts(twice, "x")


def test_the_command_gives_the_same_vectors_whatever_the_chunk_and_embeds_nothing_twice(tmp_path: Path) -> None:
    tiny = write_backbone(tmp_path / "tiny")
    backbone = ["backbone=local", "backbone.name=tiny", f"backbone.path={tiny['path']}", "backbone.context=128"]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(30, 2)))
    tables = []
    for chunk in (7, 4096):
        given = [f"texts={tmp_path / 't.jsonl'}", f"output={tmp_path / str(chunk)}", f"chunk={chunk}", *backbone]
        assert command("embed", *given).code == 0
        tables.append(np.stack(pd.read_parquet(tmp_path / str(chunk) / "vectors.parquet").vector))
    assert (tables[0] * tables[1]).sum(1).min() > 1 - 1e-5
    stamp = (tmp_path / "4096" / "vectors.parquet").stat().st_mtime_ns
    done = command("embed", *given)
    assert (done.code, done.err) == (0, "")
    assert "30 vectors of 32 dimensions" in done.out
    assert (tmp_path / "4096" / "vectors.parquet").stat().st_mtime_ns == stamp
    assert command("embed", *given, "role=document", "embedder.last_token.max_tokens=32").code == 0
    assert (tmp_path / "4096" / "vectors.parquet").stat().st_mtime_ns != stamp, "another request is another file"
    assert command("embed", *given, "chunk=0").error == "error: chunk=0: give a number of texts above 0"
    shutil.rmtree(tmp_path / "4096")
