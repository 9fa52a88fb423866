"""Other people's logs: every shape that occurs is scored, and a row that cannot be is named and leaves the others alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from fmtbench.running.logs import Log, load_log
from fmtbench.running.transcripts import rescore
from tests.commanding import command


def load(folder: Path, answer: str, *records: dict[str, Any]) -> Log:
    path = folder / "log.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return load_log(path, answer)


RED = {"A": "red", "B": "blue"}
RIGHT = [
    ("choice", {"text": "The answer is B.", "gold": "B", "choices": ["red", "blue"]}),
    ("choice", {"text": "The answer is B.", "gold": "blue", "choices": {"B": "blue", "A": "red"}}),
    ("choice", {"text": "The answer is B.", "gold": "(B)", "choices": {"(a)": "red", "(b)": "blue"}}),
    ("number", {"text": "The answer is 12.", "gold": "9 + 3 = 12\n#### 12"}),
    ("number", {"text": "The answer is 12.", "gold": ["a dozen: 12", 12]}),
    ("number", {"text": "The answer is 12.", "gold": ["13", "12"]}),
    ("number", {"text": "The answer is 12.", "gold": 12.0, "finish_reason": None}),
    ("yes_no", {"text": "The answer is yes.", "gold": True}),
    ("set", {"text": "The answer is apple, pear.", "gold": ["pear", "apple"]}),
]


@pytest.mark.parametrize(("answer", "record"), RIGHT)
def test_every_shape_of_a_right_reply_is_right(tmp_path: Path, answer: str, record: dict[str, Any]) -> None:
    log = load(tmp_path, answer, record)
    assert not log.complaints
    (row,) = rescore(log.transcripts, answer, "text", experiment="e")
    assert (row.status, row.correct, row.marked_correct, row.latent_correct) == ("ok", True, True, True)


WRONG = [
    ("number", {"gold": "1"}, "field 'text': is missing"),
    ("number", {"text": ["a"], "gold": "1"}, "field 'text'"),
    ("number", {"text": "1", "gold": None}, "field 'gold'"),
    ("number", {"text": "1", "gold": []}, "field 'gold'"),
    ("number", {"text": "1", "gold": "many"}, "field 'gold': 'many' is no number"),
    ("choice", {"text": "1", "gold": "A"}, "field 'choices'"),
    ("choice", {"text": "1", "gold": "B", "choices": {"B": "x", "C": "y"}}, "letters must be A, B, in any order, got B, C"),
    ("choice", {"text": "1", "gold": "C", "choices": RED}, "the options are"),
]


@pytest.mark.parametrize(("answer", "record", "reason"), WRONG)
def test_a_row_that_cannot_be_scored_is_named(tmp_path: Path, answer: str, record: dict[str, Any], reason: str) -> None:
    good = {"text": "The answer is A." if answer == "choice" else "1", "gold": "A" if answer == "choice" else 1, "choices": RED}
    log = load(tmp_path, answer, good, record)
    assert len(log.transcripts) == 1
    (complaint,) = log.complaints
    assert "row 2, field" in complaint
    assert reason in complaint


def test_ids_are_unique_and_rows_without_one_have_their_number(tmp_path: Path) -> None:
    log = load(tmp_path, "number", *({"text": "1", "gold": 1, "id": name} for name in ("a", None, "a")))
    assert [one.id for one in log.transcripts] == ["a", "2"]
    assert "row 3, field 'id': 'a' occurs before, in row 1" in log.complaints[0]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("MAX_TOKENS", "length"), ("FinishReason.STOP", "stop"), ("end_turn", "stop"), ("content_filter", "error"), ("odd", "stop")],
)
def test_finish_reasons_of_vendors(tmp_path: Path, reason: str, finish: str) -> None:
    log = load(tmp_path, "number", {"text": None, "gold": 1, "finish_reason": reason})
    assert [one.finish_reason for one in log.transcripts] == [finish]
    assert dict(log.unknown) == ({"odd": 1} if reason == "odd" else {})


def test_the_command_scores_the_rest_or_refuses(tmp_path: Path) -> None:
    records = [{"text": "\ud800 The answer is 3.", "gold": 3}, {"text": "3", "gold": "many"}]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    words = ("rescore", f"transcripts={tmp_path / 't.jsonl'}", "answer=number", f"output={tmp_path / 'out'}")
    done = command(*words)
    assert done.code == 0
    assert "1 transcripts: strict 1.0000, marked 1.0000, latent 1.0000 (ok 1)" in done.out
    assert "1 rows are not scored" in done.out
    assert "1 halves of character pairs were replaced by U+FFFD" in done.out
    assert "row 2, field 'gold': 'many'" in (tmp_path / "out" / "not_scored.txt").read_text()
    refused = command(*words, "strict_input=true")
    assert refused.code == 2
    assert "row 2, field 'gold': 'many'" in refused.error
