"""Rows from files and through `datasets`: both give the same items, and every bad row is named by file, row and field."""

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from experiments.starting.build import build
from fmtbench.errors import UserError
from fmtbench.tasks.source import Source
from tests.conftest import composed, write_own_rows

CASES = Path(__file__).parent / "cases"
OWN, HUB = CASES / "rows", CASES / "hub_rows"
OTHER_QUESTION = {"folio"}  # the two copies word the question differently
SAME_SHAPE = ("asdiv", "ddxplus", "gsm8k", "math_500")


@pytest.mark.parametrize("name", [*SAME_SHAPE, *sorted(path.stem for path in HUB.iterdir())])
def test_datasets_and_the_local_file_give_the_same_items(tmp_path: Path, monkeypatch: Any, name: str) -> None:
    """`datasets` itself reads rows of the hub's shape, from a folder that stands for the hub."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    node = composed(f"task=[{name}]", f"data_root={tmp_path}").task[name]
    write_own_rows(tmp_path)
    local = build(node, name).items()
    hub = tmp_path / "hub"
    hub.mkdir()
    rows = HUB if name not in SAME_SHAPE else OWN
    shutil.copy(rows / f"{name}.jsonl", hub / f"{node.source.split}.jsonl")
    node.source.update(hub_id=str(hub), config=None, data_root=None)
    remote = build(node, name).items()
    assert [(item.gold, item.choices) for item in remote] == [(item.gold, item.choices) for item in local]
    assert name in OTHER_QUESTION or [item.question for item in remote] == [item.question for item in local]


def test_rows_that_the_hub_numbers_otherwise_have_other_ids(tmp_path: Path) -> None:
    write_own_rows(tmp_path)
    for name, start in (("gsm8k", "gsm8k/test-0"), ("bbh_navigate", "bbh_navigate/every_other-0"), ("folio", "folio/v0.0-0")):
        assert build(composed(f"task=[{name}]", f"data_root={tmp_path}").task[name], name).items()[0].id == start


def items(root: Path, name: str, text: str) -> Any:
    node = composed(f"task=[{name}]", f"data_root={root}").task[name]
    path = root / node.source.file
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return build(node, name).items()


BAD = [json.loads(line) for line in (CASES / "bad_rows.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("case", BAD, ids=lambda case: f"{case['task']}-{case['message']}"[:60])
def test_bad_data_names_file_row_and_field(tmp_path: Path, case: dict[str, str]) -> None:
    with pytest.raises(UserError, match=case["message"]):
        items(tmp_path, case["task"], case["file"])


def source(**changes: Any) -> Source:
    return Source(**{"name": "x", "hub_id": "nobody/nothing", "split": "test", "licence": "none", "citation": "none"} | changes)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent.jsonl does not exist"):
        source(data_root=str(tmp_path), file="absent.jsonl").rows()


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("rows.jsonl", b"\xff\xfe"),
        ("rows.jsonl.gz", b"not gzip"),
        ("rows.csv.gz", b"\x1f\x8b\x08"),
        ("rows.json.gz", gzip.compress(b"x" * 99, mtime=0)[:12] + b"\xff" * 30),
    ],
)
def test_a_file_that_is_no_text_is_named(tmp_path: Path, file: str, content: bytes) -> None:
    (tmp_path / file).write_bytes(content)
    with pytest.raises(UserError, match=rf"{file} cannot be read as UTF-8 text"):
        source(data_root=str(tmp_path), file=file).rows()


def test_an_unknown_format_is_named(tmp_path: Path) -> None:
    (tmp_path / "rows.xlsx").write_bytes(b"")
    with pytest.raises(UserError, match=r"'xlsx' is no format that can be read; allowed are jsonl, json, csv"):
        source(data_root=str(tmp_path), file="rows.xlsx").rows()


def test_offline_hub_data_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="set data_root"):
        source(file="rows.jsonl").rows()
    with pytest.raises(UserError, match=r"x is not on the hub: set data_root to the folder that holds rows.jsonl"):
        source(hub_id=None, file="rows.jsonl").rows()


def test_a_byte_order_mark_is_no_part_of_the_first_field(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(b"\xef\xbb\xbfquestion,answer\nq,1\n")
    (row,) = source(data_root=str(tmp_path), file="rows.csv").rows()
    assert (row.id, row.text("question"), row.text("answer")) == ("x/test-0", "q", "1")
