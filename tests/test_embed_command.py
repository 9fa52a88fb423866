"""`experiments.embed` as a user meets it: vectors of a file, and every mistake in one line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.starting.build import build, build_group
from tests.commanding import command, imported, messages, process
from tests.conftest import composed, options
from tests.tiny_backbone import write_backbone


@pytest.mark.parametrize("name", options("embedder"))
def test_every_embedder_builds_under_its_own_name(name: str) -> None:
    assert list(build_group(composed(f"embedder={name}", "output=x", root="embed").embedder)) == [name]


def test_every_embed_task_builds_under_its_own_name() -> None:
    config = composed(f"embed_task=[{','.join(options('embed_task'))}]", "output=x", root="embed")
    assert list(build_group(config.embed_task)) == options("embed_task")


@pytest.mark.parametrize("name", options("embed_backend"))
def test_every_embed_backend_builds(name: str) -> None:
    pytest.importorskip("sentence_transformers")
    assert build(composed(f"embed_backend={name}", "output=x", root="embed").embed_backend, "embed_backend")


def test_help_reads_like_a_page_and_imports_no_engine() -> None:
    done = command("embed", "--help")
    assert done.code == 0
    assert all(word in done.out for word in ("python -m experiments.embed texts=", "last_token", "korsts", "study=drift"))
    done = process("embed", "--cfg", "job", "output=x")
    assert done.code == 0
    assert "pooling: last_token" in done.out
    assert "torch" not in imported(done)


def test_vectors_of_a_file(tmp_path: Path) -> None:
    """In a process of its own, where the libraries' own lines on stderr would show."""
    write_backbone(tmp_path / "tiny")
    backbone = ["backbone=local", "backbone.name=tiny", f"backbone.path={tmp_path / 'tiny'}", "backbone.context=128"]
    texts = [{"id": "a", "text": "Hi"}, {"id": 7, "text": "The capital of Peru is Lima."}, {"id": "c", "text": "long " * 300}]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in texts))
    files = [f"texts={tmp_path / 't.jsonl'}", f"output={tmp_path / 'out'}"]
    done = process("embed", *files, *backbone, "embedder.last_token.max_tokens=64")
    assert done.code == 0, messages(done)
    assert messages(done) == ["1 of 3 texts were longer than 64 tokens and were cut"]
    assert "3 vectors of 32 dimensions" in done.out
    table = pd.read_parquet(tmp_path / "out" / "vectors.parquet")
    assert list(table.columns) == ["id", "vector"]
    assert list(table.id) == ["a", "7", "c"]
    vectors = np.stack(table.vector)
    assert vectors.dtype == np.float32
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-6
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (manifest["texts"], manifest["cut"], manifest["embedder"]) == (3, 1, "last_token")
    assert manifest["engine"]["encoder"]["append_eos"] is True
    assert len(manifest["engine"]["encoder"]["fingerprint"]) == 64
    assert manifest["packages"]["sentence-transformers"]


GOOD = '{"id": "a", "text": "Hi"}\n'
MISTAKES: list[tuple[str, list[str], str]] = [
    (
        GOOD,
        ["embed_task=[stsb]"],
        r"exactly one of texts=FILE, embed_task=.* given: texts=, embed_task=",
    ),
    (GOOD, ["embedder=lasttoken"], r"embedder=lasttoken is no option .* did you mean last_token\?"),
    (GOOD, ["embedder=[last_token,mean]"], r"texts= takes one embedder, got last_token, mean"),
    (GOOD, ["embedder=[]"], r"no embedder is chosen"),
    (GOOD, ["embedder=bm25"], r"embedder=bm25 compares texts without vectors"),
    (GOOD, ["embedder.last_token.pooling=max"], r"last_token\.pooling: .*'weighted_mean' or 'first', got 'max'"),
    (GOOD, ["embedder.last_token.max_tokens=1"], r"last_token\.max_tokens: .*greater than 1, got 1"),
    (GOOD, ["embedder.last_token.template.query=nothing"], r"last_token\.template: .*must hold \{text\}"),
    (GOOD, ["embedder.last_token.adapter=/no/such/adapter"], r"adapter /no/such/adapter is no folder"),
    (GOOD, ["embedder=saved", "embedder.saved.path=/no/such/folder"], r"/no/such/folder holds no modules\.json"),
    (GOOD, ["embedder=saved"], r"no saved encoder: path and hub_id are not set: give path=FOLDER or hub_id=ORG/NAME"),
    (GOOD, ["embedder=saved", "embedder.saved.hub_id=no/such"], r"cannot find no/such at revision main in the local cache or on"),
    (GOOD, ["embedder=kure"], r"cannot find nlpai-lab/KURE-v1 at revision d14c8a9423946e268a0c9952fecf3a7aabd73bd9"),
    (GOOD, ["backbone=local", "backbone.path=/no/such/model"], r"/no/such/model does not exist"),
    (GOOD, ["role=passage"], r"role=passage: allowed are query, document"),
    (GOOD, ["limit=0"], r"limit=0: give a number above 0"),
    (GOOD, ["study=training"], r"study=training: allowed are drift, layers"),
    (GOOD, ["study=layers"], r"study=layers judges embedder= on embed_task="),
    (GOOD, ["layers=[3]"], r"layers= chooses layers of study=layers"),
    (
        GOOD,
        ["embedder.last_token.skip_first=true"],
        r"skip_first=true is for pooling=mean or weighted_mean, got pooling=last_token",
    ),
    (GOOD, ["embedder.last_token.layers=0"], r"last_token\.layers: .*greater than 0, got 0"),
    (GOOD, ["embed_backend=fast"], r"embed_backend=fast is no option"),
    ("", [], r"holds no texts"),
    ("{", [], r"line 1: not JSON"),
    ('{"id": "a"}\n', [], r"row 1: needs 'id' and 'text', has \['id'\]"),
    ('{"id": "a", "text": " "}\n', [], r"row 1 \(id 'a'\): the text is empty"),
    (GOOD + GOOD, [], r"row 2: id 'a' occurs twice"),
]


@pytest.mark.parametrize(("content", "arguments", "message"), MISTAKES, ids=[case[2][:40] for case in MISTAKES])
def test_a_mistake_ends_in_one_line_before_any_weights_are_loaded(
    tmp_path: Path, content: str, arguments: list[str], message: str
) -> None:
    (tmp_path / "t.jsonl").write_text(content)
    done = command("embed", f"texts={tmp_path / 't.jsonl'}", f"output={tmp_path / 'out'}", *arguments)
    assert done.code == 2, done.err
    assert done.error.startswith("error: ")
    assert re.search(message, done.error), done.error
    assert not (tmp_path / "out" / "vectors.parquet").exists()
