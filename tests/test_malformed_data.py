"""R10: malformed data files over the ways in (a task's file, `datasets`, transcripts, texts): file, row and field are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from experiments.starting.build import build
from fmtbench.embed.vectors import check_texts
from fmtbench.errors import UserError
from fmtbench.running.logs import load_log
from fmtbench.tasks.data_file import read_jsonl, read_rows
from tests.conftest import composed
from tests.malformed_data import CSV, LINES, PACKED, ROWS, SpoiltRow, own_rows, spoilt_rows

NAMES = sorted(path.stem for path in ROWS.iterdir() if own_rows(path.stem))
SHORT = ("commonsenseqa", "gsm8k")
"""A task with options in a mapping, and one without."""
LEAST = 350


def task(root: Path, name: str) -> Any:
    """The node of a task whose file is below `root`, and the path of that file."""
    node = composed(f"task=[{name}]", f"data_root={root}").task[name]
    path = root / node.source.file
    path.parent.mkdir(parents=True, exist_ok=True)
    return node, path


def refused(root: Path, name: str) -> list[str]:
    """The ways to spoil the second row that the task turns down. Fails where it does not name file, row and field."""
    node, path = task(root, name)
    good, found = own_rows(name)[0], []
    for case in spoilt_rows(good):
        path.write_text("\n".join(json.dumps(row) for row in ({**good}, case.row)))
        try:
            build(node, name).items()
        except UserError as error:
            said = str(error)
            assert str(path) in said, (name, case, said)
            assert "row 1" in said or "line 2" in said, (name, case, said)
            assert named(case, said), (name, case, said)
            assert len(said.splitlines()) == 1
            found.append(f"{name} {case.field} {case.how}")
    return found


def named(case: SpoiltRow, said: str) -> bool:
    return case.field in said


def of_json_lines(name: str) -> bool:
    source = composed(f"task=[{name}]").task[name].source
    return source.get("format") == "jsonl" or source.file.endswith(".jsonl")


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in SHORT else pytest.mark.slow) for name in NAMES])
def test_a_spoilt_field_of_a_task(tmp_path: Path, name: str) -> None:
    if not of_json_lines(name):
        pytest.skip("its file is no JSON lines")
    assert refused(tmp_path, name)


@pytest.mark.slow
def test_there_are_enough_of_them(tmp_path: Path) -> None:
    count = sum(len(refused(tmp_path / name, name)) for name in NAMES if of_json_lines(name))
    assert count + len(GOOD_TRANSCRIPT) * 3 + 2 * len(LINES) >= LEAST


GOOD_TRANSCRIPT = {"text": "The answer is (B).", "gold": "B", "id": "a", "choices": ["red", "blue"], "finish_reason": "stop"}
MAY_BE = {
    "text": {"null", "empty", "blank", "a NUL", "half a pair"},
    "id": {"gone", "null", "empty", "blank", "a NUL", "half a pair", "a list", "a list of lists", "a mapping", "deep"},
    "finish_reason": {"gone", "null", "empty", "blank", "a NUL", "half a pair", "a list", "a list of lists", "a mapping", "deep"},
}
"""What a transcript may be: an empty reply is one, and an id or a reason is taken as its text."""


@pytest.mark.parametrize("case", [*spoilt_rows(GOOD_TRANSCRIPT)], ids=lambda case: f"{case.field}-{case.how}")
def test_a_spoilt_field_of_a_transcript(tmp_path: Path, case: SpoiltRow) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(map(json.dumps, [GOOD_TRANSCRIPT | {"id": "first"}, case.row])))
    log = load_log(path, "choice")
    if case.how in MAY_BE.get(case.field, ()):
        assert not log.complaints
        return
    (said,) = log.complaints
    assert said.startswith(f"{path}, row 2, field '{case.field}': ")
    assert len(log.transcripts) == 1


@pytest.mark.parametrize(
    "case", [*spoilt_rows({"id": "a", "text": "Lima is in Peru."})], ids=lambda case: f"{case.field}-{case.how}"
)
def test_a_spoilt_field_of_a_text(tmp_path: Path, case: SpoiltRow) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text("\n".join(map(json.dumps, [{"id": "first", "text": "x"}, case.row])))
    if case.how in ("a NUL", "half a pair") or (case.field == "id" and case.how in ("empty", "blank")):
        assert check_texts(lambda: read_jsonl(path), str(path)).texts == 2
        return
    with pytest.raises(UserError, match=r"texts\.jsonl, row 2\b.*text"):
        check_texts(lambda: read_jsonl(path), str(path))


WAYS: dict[str, Any] = {
    "transcripts": lambda path: load_log(path, "number").complaints or _raise("no complaint"),
    "texts": lambda path: check_texts(lambda: read_jsonl(path), str(path)),
    "rows": lambda path: [row["question"] for row in read_rows(path, "jsonl", None, ())] or _raise("no rows"),
}


def _raise(message: str) -> None:
    raise KeyError(message)


@pytest.mark.parametrize("content", list(LINES))
def test_transcripts_that_are_no_json_lines(tmp_path: Path, content: str) -> None:
    """A line that cannot be read is named, and the others are scored."""
    path = tmp_path / "f.jsonl"
    path.write_bytes(LINES[content] + b"\n" + json.dumps(GOOD_TRANSCRIPT).encode())
    log = load_log(path, "choice")
    assert len(log.transcripts) == 1
    assert all(line.startswith(f"{path}, line ") and len(line.splitlines()) == 1 for line in log.complaints)
    assert log.complaints or content in ("nothing", "blank lines")


@pytest.mark.parametrize("content", list(LINES))
def test_texts_that_are_no_json_lines(tmp_path: Path, content: str) -> None:
    path = tmp_path / "f.jsonl"
    path.write_bytes(LINES[content])
    with pytest.raises(UserError) as said:
        WAYS["texts"](path)
    assert str(path) in str(said.value)
    assert len(str(said.value).splitlines()) == 1


@pytest.mark.parametrize("content", list(LINES))
def test_a_file_of_a_task_that_is_no_json_lines(tmp_path: Path, content: str) -> None:
    node, path = task(tmp_path, "gsm8k")
    path.write_bytes(LINES[content])
    with pytest.raises(UserError) as said:
        build(node, "gsm8k").items()
    assert str(path) in str(said.value)


NO_ROWS = {("csv", "a header alone"), ("csv", "nothing"), ("csv.gz", "nothing"), ("jsonl.gz", "nothing")}
"""These are of their format, and hold nothing."""


@pytest.mark.parametrize(("suffix", "files"), [("jsonl.gz", PACKED), ("csv", CSV), ("csv.gz", PACKED), ("json", LINES)])
def test_a_file_of_another_format(tmp_path: Path, suffix: str, files: dict[str, bytes]) -> None:
    path = tmp_path / f"f.{suffix}"
    for how, content in files.items():
        path.write_bytes(content)
        if (suffix, how) in NO_ROWS:
            assert read_rows(path, None, "rows", ()) == []
            continue
        with pytest.raises(UserError) as said:
            read_rows(path, None, "rows", ())
        assert str(path) in str(said.value), how
        assert len(str(said.value).splitlines()) == 1, how


@pytest.mark.slow
@pytest.mark.parametrize("how", ["gone", "null", "a list", "a mapping", "empty"])
@pytest.mark.parametrize("name", ["gsm8k"])
def test_a_spoilt_field_from_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, how: str) -> None:
    """`datasets` reads the rows: a folder stands for the hub."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    node, _ = task(tmp_path, name)
    hub = tmp_path / "hub"
    hub.mkdir()
    good = own_rows(name)[0]
    (bad,) = [case for case in spoilt_rows(good) if (case.field, case.how) == ("question", how)]
    (hub / f"{node.source.split}.jsonl").write_text("\n".join(map(json.dumps, [bad.row])))
    node.source.update(hub_id=str(hub), config=None, data_root=None)
    with pytest.raises(UserError, match="question"):
        build(node, name).items()
