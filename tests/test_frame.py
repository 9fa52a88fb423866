"""Rows are refused where they would mislead: damaged, doubled, or made differently."""

import json
from pathlib import Path
from typing import Any

import pytest

from fmtbench.analysis.rows.frame import load_files, load_rows
from fmtbench.errors import UserError
from tests.made_rows import coins, made_rows


def write(folder: Path, condition: str = "free_cot", manifest: dict[str, Any] | None = None, **columns: Any) -> Path:
    folder.mkdir(parents=True)
    made_rows({condition: coins(0, 20)}, **columns).to_parquet(folder / "rows.parquet")
    if manifest is not None:
        (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_many_folders_are_one_frame(tmp_path: Path) -> None:
    folders = [write(tmp_path / name, name) for name in ("free_cot", "json_schema")]
    assert len(load_rows(folders)) == len(load_rows(tmp_path)) == 40


def test_the_same_measurement_twice_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "one")
    write(tmp_path / "two", experiment="another")
    with pytest.raises(UserError, match=r"two/rows\.parquet holds 20 rows whose keys occur before \(backbone=b, task=t"):
        load_rows(tmp_path)


def test_a_damaged_file_is_named_and_the_others_can_be_had(tmp_path: Path) -> None:
    write(tmp_path / "whole")
    (write(tmp_path / "torn", "direct") / "rows.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(UserError, match=r"torn/rows\.parquet cannot be read as parquet"):
        load_rows(tmp_path)
    files, complaints = load_files(tmp_path)
    assert (len(files), len(complaints)) == (1, 1)
    assert "\n" not in complaints[0]


def test_verdicts_are_true_or_false(tmp_path: Path) -> None:
    write(tmp_path / "odd", correct=0.5)
    with pytest.raises(UserError, match="correct holds values other than true and false"):
        load_rows(tmp_path)


SAME: dict[str, Any] = {"sampling": {"temperature": 0.0}, "items_sha256": "a" * 64, "seed": 0, "decoder": ["outlines 1"]}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"sampling": {"temperature": 1.0}}, r"sampling\.temperature differs \(0\.0 in .*one.*; 1\.0 in .*two"),
        ({"items_sha256": "b" * 64}, r"the hash of the items \(seed 0\) differs"),
        ({"decoder": ["xgrammar 0.1"]}, r"the decoder differs \(outlines 1 in .*xgrammar 0\.1 in"),
    ],
)
def test_what_was_made_differently_is_not_compared(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    write(tmp_path / "one", manifest=SAME)
    write(tmp_path / "two", "json_schema", manifest=SAME | change)
    with pytest.raises(UserError, match=named):
        load_rows(tmp_path)
    assert len(load_rows(tmp_path, mixed=True)) == 40


def test_no_decoder_and_another_seed_are_no_difference(tmp_path: Path) -> None:
    write(tmp_path / "one", manifest=SAME | {"decoder": ["none"]})
    write(tmp_path / "two", "json_schema", manifest=SAME)
    write(tmp_path / "three", seed=1, manifest=SAME | {"seed": 1, "items_sha256": "c" * 64})
    assert len(load_rows(tmp_path)) == 60


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows.drop(columns="answer"), "lack the columns ['answer']"),
        (lambda rows: rows.drop(columns="finish_reason"), "lack the columns ['finish_reason']"),
        (lambda rows: rows.assign(correct=float("nan")), "correct holds values other"),
        (lambda rows: rows.assign(gold=None), "empty values in ['gold']"),
        (lambda rows: rows.assign(seconds=-1.0), "seconds holds -1"),
        (lambda rows: rows.assign(reasoning_words="7"), "reasoning_words holds values of kind 'string'"),
    ],
)
@pytest.mark.parametrize("slim", [False, True])
def test_a_file_that_is_wrong_is_found_among_sound_ones(tmp_path: Path, change: Any, said: str, slim: bool) -> None:
    """Files are checked together; what one of them lacks or holds is named with it, as if it were alone."""
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        rows = made_rows({"free_cot": coins(1, 9)}, prompt=name)
        (change(rows) if name == "b" else rows).to_parquet(tmp_path / name / "rows.parquet")
    found = load_files(tmp_path, slim=slim)
    assert [one.path.parent.name for one in found.files] == ["a", "c"]
    (complaint,) = found.complaints
    assert said in complaint
    assert str(tmp_path / "b" / "rows.parquet") in complaint
