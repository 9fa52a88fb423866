"""Replies that were kept back: one command says how far we are from what was published, and lists the replies that explain it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from tests.commanding import as_before
from tests.conftest import ROOT

SCRIPTS = ("check", "make", "rules")


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    """The script, whose folder is on no path of the package; its output goes to `tmp_path`."""
    monkeypatch.syspath_prepend(str(ROOT / "paper" / "published"))
    held = {name: sys.modules.pop(name, None) for name in SCRIPTS}
    import check

    monkeypatch.setattr(check, "BUILD", tmp_path)
    with as_before():
        yield check
    for name, module in held.items():
        sys.modules.pop(name, None)
        if module is not None:
            sys.modules[name] = module


def write(path: Path, replies: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(reply) + "\n" for reply in replies))


def test_a_model_that_was_kept_back_is_compared_and_its_difference_explained(check: ModuleType, tmp_path: Path) -> None:
    """Of 20 replies 15 are right; one model writes five of them as calculations, of which the authors take the first number."""
    for name, sums in {"qwen-new-7B": 0, "sums_at_host": 5}.items():
        held = ["8 - 4 = 4"] * sums + ["4"] * (15 - sums) + ["5"] * 5
        replies = [
            {"id": f"q{i}", "gold": "4", "text": json.dumps({"reasoning": "r", "answer": one})} for i, one in enumerate(held)
        ]
        write(tmp_path / "new" / f"{name}.jsonl", replies)
    write(tmp_path / "new" / "questions.jsonl", [{"id": "q0", "question": "?"}])
    summary = [{"Model": "qwen-new-7B", "Acc": "75.00"}, {"Model": "sums@host", "Acc": "50.00"}]
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    check.main("json_asked", tmp_path / "new", tmp_path / "summary.json")
    table = pd.read_csv(tmp_path / "check" / "json_asked" / "agreement.csv").set_index("backbone")
    assert list(table.index) == ["sums_at_host", "qwen-new-7B"], "the largest difference first"
    assert table.loc["qwen-new-7B", ["published", "rule", "latent", "difference"]].tolist() == [0.75, 0.75, 0.75, 0]
    line = table.loc["sums_at_host"]
    assert (line.published, line.rule, line.latent, line.difference) == (0.5, 0.5, 0.75, 0.25)
    assert (line.explained, line.left, line.latent_alone, line.rule_alone) == (0.25, 0, 5, 0)
    replies = pd.read_csv(tmp_path / "check" / "json_asked" / "replies.csv")
    assert sorted(replies.item_id) == ["q0", "q1", "q2", "q3", "q4"]
    assert set(replies.backbone) == {"sums_at_host"}
    assert set(replies.rule_read) == {8}
    assert replies.text.str.contains("8 - 4 = 4").all()


def test_an_exam_that_was_kept_back_is_counted_by_vote_as_its_authors_did(
    check: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two of three samples are right: two thirds of the replies, and all of the votes. One item is a tie, which is a half."""
    for arm, letters in {"concise": "BBA" * 9 + "BA ", "baseline": "AAA" * 10}.items():
        replies = [
            {
                "item": f"new-100/{i // 3}",
                "sample": i % 3,
                "gold": "B",
                "text": f'Action: Answer("{letter}")' if letter != " " else "Hm.",
            }
            for i, letter in enumerate(letters)
        ]
        write(tmp_path / "new" / "gpt-4" / arm / "new-exam-100.jsonl", replies)
    results = tmp_path / "results"
    results.mkdir()
    (results / "a.csv").write_text("Model,Prompt,Exam,Questions,Accuracy\ngpt-4,concise,new-exam-100,20,0.9\n")
    check.main("concise", tmp_path / "new", results)
    table = pd.read_csv(tmp_path / "check" / "concise" / "agreement.csv").set_index("condition")
    line = table.loc["concise"]
    assert (line.published, line["items"], line.replies) == (0.9, 10, 30)
    assert line.rule == line.latent == pytest.approx((9 + 1 / 3) / 10), "B, A and nothing are a tie of three"
    assert (line.rule_low, line.rule_high) == (9 / 20, 1.0), (
        "nine are won, one is a tie, and ten of twenty questions are not in the log"
    )
    assert line.difference == pytest.approx(1 / 30)
    (tie,) = pd.read_csv(tmp_path / "check" / "concise" / "ties.csv").itertuples()
    assert (tie.condition, tie.item_id, tie.votes) == ("concise", "new-100/9", "A 1, B 1, none 1")
    assert pd.isna(table.loc["baseline", "published"])
    assert "2 of 2 differ by more than 0.5 points, or were not published" in capsys.readouterr().out


def test_a_study_that_is_none_is_refused(check: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"error: json .*: give one of json_asked, concise, key_order"):
        check.main("json", tmp_path)


RULES = [
    ("first_number", '{"answer": "8 - 4 = 4"}', "4", "8", False),
    ("first_number", '{"answer": "18"} No: {"answer": "16"}', "16", "18", False),
    ("first_number", '{"reasoning": "line\nbreak", "answer": "$1,234"}', "1234", "1234", True),
    ("first_number", r'{"reasoning": "\(", "answer": "7"}', "7", "7", True),
    ("first_number", r"so $\boxed{1,234}$", "1234", "1234", True),
    ("first_number", "4", "4", None, False),
    ("first_action", 'Answer("b") or Answer("C")', "B", "B", True),
    ("first_action", 'Answer ("B")', "B", None, False),
    ("word_anywhere", "There is no divisor: [Yes]", "No", "Yes and No", True),
    ("word_anywhere", "No, it is not", "No", None, False),
    ("word_anywhere", "[No]", "Yes", "No", False),
]


@pytest.mark.parametrize(("rule", "text", "gold", "read", "right"), RULES)
def test_a_rule_reads_as_its_authors_did(
    check: ModuleType, rule: str, text: str, gold: str, read: str | None, right: bool
) -> None:
    rules = sys.modules["rules"]
    assert getattr(rules, rule)(text, gold) == (read, right)
