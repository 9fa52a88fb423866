"""The commands of the README, with the real model on a few items."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.commanding import command, process

SOME = ("free_cot", "sham", "json_schema", "json_schema_answer_first", "nl_to_json")
"""test_real_outputs asks them all."""


@pytest.mark.model
@pytest.mark.parametrize("dtype", ["float32", pytest.param("bfloat16", marks=pytest.mark.slow)])
def test_run_resume_and_score(tmp_path: Path, dtype: str) -> None:
    """The first time in a process of its own."""
    every = f"condition=[{','.join(SOME)}]"
    words = (
        "run",
        f"backbone.dtype={dtype}",
        f"results={tmp_path}",
        "name=few",
        "task=[capitals]",
        every,
        "limit=1",
        "sampling.max_tokens=16",
    )
    first = process(*words)
    assert first.code == 0, first.err
    assert "Δ strict" in first.out
    assert "items" in first.err
    rows = pd.concat([pd.read_parquet(path) for path in tmp_path.rglob("rows.parquet")])
    assert len(rows) == len(SOME)
    assert not (rows.status == "engine_error").any()
    assert (
        rows[rows.condition.str.startswith("json_schema") & (rows.finish_reason == "stop")].status.isin(["ok", "no_answer"]).all()
    )
    assert (rows.groupby("item_id").text.nunique() > 1).any(), "conditions change what the model says"
    free, sham = (rows[rows.condition == name].set_index("item_id").text.sort_index() for name in ("free_cot", "sham"))
    assert (free == sham).all(), "the sham shows no effect"

    manifest = json.loads(next(tmp_path.rglob("json_schema/*/manifest.json")).read_text())
    assert "outlines_core" in manifest["decoder"][0]
    assert manifest["engine"]["dtype"] == dtype
    assert len(manifest["engine"]["weights"]["fingerprint"]) == 64

    journals = {path: path.read_bytes() for path in tmp_path.rglob("generations.jsonl")}
    parquets = {path: path.read_bytes() for path in tmp_path.rglob("rows.parquet")}
    again = command(*words)
    assert again.code == 0, again.err
    assert "0 to generate" in again.err
    assert again.out == first.out
    scored = command("score", f"results={tmp_path / 'few'}")
    assert scored.code == 0, scored.err
    assert scored.out.endswith(first.out)
    assert journals == {path: path.read_bytes() for path in journals}
    assert parquets == {path: path.read_bytes() for path in parquets}


def test_score_without_a_run(tmp_path: Path) -> None:
    done = command("score", f"results={tmp_path}")
    assert done.code == 2
    assert "holds no run folder" in done.error


def test_one_run_folder_is_scored_alone(tmp_path: Path) -> None:
    words = ("backend=scripted", "task=[addition]", "condition=[free_cot,direct]", "limit=3", "name=x", f"results={tmp_path}")
    assert command("run", *words).code == 0
    one, other = sorted(path.parent for path in tmp_path.rglob("rows.parquet"))
    for folder in (one, other):
        (folder / "rows.parquet").unlink()
    done = command("score", f"run={one}")
    assert (done.code, done.out) == (0, f"{one}: 0 of 3 right\n")
    assert not (other / "rows.parquet").exists()
    done = command("score", f"run={tmp_path / 'x'}")
    assert done.code == 2
    assert f"give results={tmp_path / 'x'} to score the 2 beneath it" in done.error


CASES = {
    "number": [
        ("text", {"text": "9 * 2. The answer is $18.", "gold": "18"}, "ok", True, True),
        ("text", {"text": "She makes 18 dollars.", "gold": "18.0"}, "no_mark", False, True),
        ("text", {"text": "#### 1,234", "gold": 1234}, "ok", True, True),
        ("json", {"text": '{"reason": "x", "final_answer": "$1,000"}', "gold": "1,000"}, "ok", True, True),
        ("json", {"text": 'Sure: {"reason": "x", "answer": 17}', "gold": "18"}, "another_mark", False, False),
        ("json", {"text": '{"answer": 18, "reason": "cut', "gold": "18", "finish_reason": "length"}, "truncated", False, True),
    ],
    "choice": [
        ("text", {"text": "So the answer is (B) red.", "gold": "(B)", "choices": {"A": "blue", "B": "red"}}, "ok", True, True),
        ("text", {"text": "So the answer is red.", "gold": "red", "choices": {"A": "blue", "B": "red"}}, "ok", True, True),
        ("json", {"text": '{"answer": "A"}', "gold": "B", "choices": {"A": "blue", "B": "red"}}, "ok", False, False),
    ],
    "yes_no": [("json", {"text": '{"reasoning": "r", "answer": true}', "gold": "yes"}, "ok", True, True)],
    "text": [("text", {"text": "The answer is e-S-S-E.", "gold": "esse", "id": "x"}, "ok", True, True)],
    "math": [
        ("text", {"text": "So $\\boxed{\\frac{1}{2}}$.", "gold": "0.5"}, "ok", True, True),
        ("yaml", {"text": "reasoning: |\n  a: b\nanswer: 1/2", "gold": "0.5"}, "ok", True, True),
    ],
    "set": [("json", {"text": '{"answer": "pear, apple"}', "gold": "apple, pear"}, "ok", True, True)],
    "label": [
        ("xml", {"text": "<a>x < y</a><label>Good</label>", "gold": "good"}, "ok", True, True),
        ("xml", {"text": "<r><a>x</a><label>bad</label></r>", "gold": "good"}, "ok", False, False),
        ("xml", {"text": "It is <label>good</label>", "gold": "good"}, "another_mark", False, True),
        ("markdown", {"text": "## Reasoning\nx\n\n## Label\n**good**", "gold": "good"}, "ok", True, True),
    ],
}
MIXED = [
    ({"text": '{"answer": 18}', "gold": "18"}, "json", "ok"),
    ({"text": "```yaml\nanswer: 18\n```", "gold": "18"}, "yaml", "ok"),
    ({"text": "<answer>18</answer>", "gold": "18"}, "xml", "ok"),
    ({"text": "# Answer\n18", "gold": "18"}, "markdown", "ok"),
    ({"text": "The answer is 18.", "gold": "18"}, "text", "ok"),
    ({"text": 'Sure! {"answer": 18}', "gold": "18"}, "text", "another_mark"),
]


def rescored(folder: Path, records: list[dict[str, str]], *arguments: str) -> pd.DataFrame:
    (folder / "t.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    done = command("rescore", f"transcripts={folder / 't.jsonl'}", f"output={folder / 'out'}", *arguments)
    assert done.code == 0, done.err
    return pd.read_parquet(folder / "out" / "rows.parquet")


def test_rescore_takes_each_reply_as_the_format_it_keeps(tmp_path: Path) -> None:
    rows = rescored(tmp_path, [record for record, *_ in MIXED], "answer=number")
    assert list(zip(rows.condition, rows.status)) == [case[1:] for case in MIXED]
    assert rows.latent_correct.all()


@pytest.mark.parametrize("answer", list(CASES))
@pytest.mark.parametrize("written", ["text", "json", "yaml", "xml", "markdown"])
def test_rescore(tmp_path: Path, answer: str, written: str) -> None:
    cases = [case[1:] for case in CASES[answer] if case[0] == written]
    if not cases:
        pytest.skip("no case of this format")
    labels = ["labels=[good,bad]"] if answer == "label" else []
    rows = rescored(tmp_path, [record for record, *_ in cases], f"answer={answer}", f"format={written}", *labels)
    assert [tuple(row) for row in rows[["status", "correct", "latent_correct"]].itertuples(index=False)] == [
        case[1:] for case in cases
    ]
    assert list(rows.item_id) == [record.get("id", str(i)) for i, (record, *_) in enumerate(cases, start=1)]
