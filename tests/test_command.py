"""The commands of the README, with the real model on a few items."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import ROOT, options


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, env=environment
    )


@pytest.mark.model
def test_run_resume_and_score(tmp_path: Path) -> None:
    every = f"condition=[{','.join(options('condition'))}]"
    command = (
        "experiments.run",
        f"results={tmp_path}",
        "name=few",
        "task=[capitals,addition]",
        every,
        "limit=3",
        "sampling.max_tokens=24",
    )
    first = run(*command)
    assert first.returncode == 0, first.stderr
    assert "Δ strict" in first.stdout
    assert "items" in first.stderr
    rows = pd.concat([pd.read_parquet(path) for path in tmp_path.rglob("rows.parquet")])
    assert len(rows) == 2 * 3 * len(options("condition"))
    assert not (rows.status == "engine_error").any()
    assert (
        rows[rows.condition.str.startswith("json_schema") & (rows.finish_reason == "stop")].status.isin(["ok", "no_answer"]).all()
    )
    assert (rows.groupby("item_id").text.nunique() > 1).any(), "conditions change what the model says"
    free, sham = (rows[rows.condition == name].set_index("item_id").text.sort_index() for name in ("free_cot", "sham"))
    assert (free == sham).all(), "the sham shows no effect"

    manifest = json.loads(next(tmp_path.rglob("json_schema/*/manifest.json")).read_text())
    assert "outlines_core" in manifest["decoder"][0]
    assert manifest["engine"]["dtype"] == "bfloat16"
    assert len(manifest["engine"]["weights"]["fingerprint"]) == 64

    journals = {path: path.read_bytes() for path in tmp_path.rglob("generations.jsonl")}
    parquets = {path: path.read_bytes() for path in tmp_path.rglob("rows.parquet")}
    again = run(*command)
    assert again.returncode == 0, again.stderr
    assert "0 to generate" in again.stderr
    assert again.stdout == first.stdout
    scored = run("experiments.score", str(tmp_path / "few"))
    assert scored.returncode == 0, scored.stderr
    assert scored.stdout.endswith(first.stdout)
    assert journals == {path: path.read_bytes() for path in journals}
    assert parquets == {path: path.read_bytes() for path in parquets}


def test_score_without_a_run(tmp_path: Path) -> None:
    done = run("experiments.score", str(tmp_path))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "holds no run folder" in done.stderr


CASES = {
    "number": [
        ("text", {"text": "9 * 2. The answer is $18.", "gold": "18"}, "ok", True, True),
        ("text", {"text": "She makes 18 dollars.", "gold": "18.0"}, "invalid_format", False, True),
        ("text", {"text": "#### 1,234", "gold": 1234}, "ok", True, True),
        ("json", {"text": '{"reason": "x", "final_answer": "$1,000"}', "gold": "1,000"}, "ok", True, True),
        ("json", {"text": 'Sure: {"reason": "x", "answer": 17}', "gold": "18"}, "invalid_format", False, False),
        ("json", {"text": '{"answer": 18, "reason": "cut', "gold": "18", "finish_reason": "length"}, "truncated", False, True),
    ],
    "choice": [
        ("text", {"text": "So the answer is (B) red.", "gold": "(B)", "choices": {"A": "blue", "B": "red"}}, "ok", True, True),
        ("text", {"text": "So the answer is red.", "gold": "red", "choices": {"A": "blue", "B": "red"}}, "ok", True, True),
        ("json", {"text": '{"answer": "A"}', "gold": "B", "choices": {"A": "blue", "B": "red"}}, "ok", False, False),
    ],
    "yes_no": [("json", {"text": '{"reasoning": "r", "answer": true}', "gold": "yes"}, "ok", True, True)],
    "text": [("text", {"text": "The answer is e-S-S-E.", "gold": "esse", "id": "x"}, "ok", True, True)],
}


@pytest.mark.parametrize("answer", list(CASES))
@pytest.mark.parametrize("written", ["text", "json"])
def test_rescore(tmp_path: Path, answer: str, written: str) -> None:
    cases = [case[1:] for case in CASES[answer] if case[0] == written]
    if not cases:
        pytest.skip("no case of this format")
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(record) + "\n" for record, *_ in cases))
    done = run(
        "experiments.rescore",
        f"transcripts={tmp_path / 't.jsonl'}",
        f"answer={answer}",
        f"format={written}",
        f"output={tmp_path / 'out'}",
    )
    assert done.returncode == 0, done.stderr
    rows = pd.read_parquet(tmp_path / "out" / "rows.parquet")
    assert [tuple(row) for row in rows[["status", "correct", "latent_correct"]].itertuples(index=False)] == [
        case[1:] for case in cases
    ]
    assert list(rows.item_id) == [record.get("id", str(i)) for i, (record, *_) in enumerate(cases)]
