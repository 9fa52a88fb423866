"""R13: each part of a request, changed alone, misses the journal."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from fmtbench.backbone import Backbone
from fmtbench.backends import hf
from fmtbench.backends.hf import HF
from fmtbench.running.asking import unanswered
from fmtbench.store.folder import Planned, RunFolder
from fmtbench.types import Constraint, Generation, Item, Message, Request, Thinking

SCHEMA = Constraint(kind="json_schema", source='{"type": "object"}')
REQUEST = Request(
    messages=(Message(role="system", content="You help."), Message(role="user", content="What is 2 + 3?")),
    constraint=SCHEMA,
    temperature=0.5,
    seed=1,
    identity='{"engine": "hf"}',
)
CHANGES: dict[str, list[Any]] = {
    "messages": [
        REQUEST.messages[1:],
        (*REQUEST.messages, Message(role="assistant", content="5")),
        REQUEST.messages[::-1],
        (replace(REQUEST.messages[0], role="user"), REQUEST.messages[1]),
        (REQUEST.messages[0], replace(REQUEST.messages[1], content="What is 2 +  3?")),
        (REQUEST.messages[0], replace(REQUEST.messages[1], content="What is 2 + 3?\u200b")),
        (Message(role="user", content="You help.What is 2 + 3?"),),
        (),
    ],
    "constraint": [None, replace(SCHEMA, kind="regex"), replace(SCHEMA, source='{"type":"object"}')],
    "temperature": [0.0, 0.5000001],
    "top_p": [0.99],
    "max_tokens": [255, 257],
    "seed": [None, 0, 2, 2**62],
    "logprobs": [True],
    "identity": ["", '{"engine": "vllm"}'],
    "thinking": [Thinking(), Thinking(tokens=9), Thinking(opens="<t>"), Thinking(closes="</t>"), Thinking(forced="</think>")],
    "chat_template_kwargs": [{"enable_thinking": False}, {"enable_thinking": True}, {"reasoning_effort": "low"}],
}
CASES = [(name, value) for name, values in CHANGES.items() for value in values]


def test_every_part_of_a_request_has_a_case() -> None:
    assert CHANGES.keys() == {field.name for field in fields(Request)}


@pytest.fixture
def journal(tmp_path: Path) -> RunFolder:
    with RunFolder(tmp_path) as folder:
        folder.append(Generation(key=REQUEST.key, text="5"))
    return RunFolder(tmp_path)


@pytest.mark.parametrize(("name", "value"), CASES, ids=[f"{name}-{k}" for k, (name, _) in enumerate(CASES)])
def test_a_changed_part_misses_the_journal(journal: RunFolder, name: str, value: Any) -> None:
    item = Item(id="i", question="q", gold="5")
    assert not unanswered([Planned(item=item, sample=0, request=replace(REQUEST))], journal.done())
    changed = replace(REQUEST, **{name: value})
    assert unanswered([Planned(item=item, sample=0, request=changed)], journal.done()) == [changed]


def test_all_changes_differ_from_each_other() -> None:
    keys = {replace(REQUEST, **{name: value}).key for name, value in CASES} | {REQUEST.key}
    assert len(keys) == len(CASES) + 1


# -- what is behind the identity


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    files = ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json")
    for name in (*files, "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"):
        (folder / name).write_bytes(b'{"a": 1}' + bytes(1000))
    return folder


def identity(weights: Path, **changes: Any) -> str:
    backbone = Backbone(**({"name": "b", "path": str(weights)} | changes))
    return HF(decoder="outlines").identity(backbone, SCHEMA)


@pytest.mark.parametrize(
    "name",
    ["config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json",
     "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
)  # fmt: skip
def test_one_byte_of_any_file_of_a_model(weights: Path, name: str) -> None:
    before = identity(weights)
    content = bytearray((weights / name).read_bytes())
    content[500] ^= 1
    (weights / name).write_bytes(content)
    assert identity(weights) != before


def test_a_name_alone_is_no_part_of_it(weights: Path) -> None:
    """The null: the same weights under another name and in another place give the same requests."""
    moved = weights.rename(weights.with_name("moved"))
    assert identity(moved, name="c") == identity(moved)


def test_dtype_engine_decoder_and_versions(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {identity(weights), identity(weights, dtype="float32"), HF().identity(Backbone(name="b", path=str(weights)), None)}
    monkeypatch.setattr(hf, "version", lambda package: "0.0")
    found.add(identity(weights))
    monkeypatch.setattr(hf, "decoder_version", lambda decoder: "outlines_core 0.0")
    found.add(identity(weights))
    monkeypatch.setattr(hf, "masks_version", lambda decoder, constraint: "99")
    found.add(identity(weights))
    assert len(found) == 6
    assert all(json.loads(one)["engine"] == "hf" for one in found)
