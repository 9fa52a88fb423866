"""Data from outside is made storable as it comes in: no reply, number or text keeps a run from being scored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fmtbench.embed.vectors import check_texts, texts_of
from fmtbench.running.logs import load_log
from fmtbench.store.folder import RunFolder
from fmtbench.store.journal import journal_line
from fmtbench.types import whole
from tests.commanding import Done, command
from tests.http_server import Answer, Body, completion, obedient, serving
from tests.test_dead_server import manifest, run

GOOD = completion("The answer is 3.").content


def sends(first: dict[str, Any]) -> Any:
    """Obeys the probe, then sends this once, and good replies after it."""
    left = [Answer(json.dumps(first))]

    def chat(body: Body) -> Answer:
        if "response_format" in body:
            return obedient(body)
        return left.pop() if left else Answer(GOOD)

    return chat


def ran(tmp_path: Path, first: dict[str, Any]) -> Done:
    with serving(sends(first)) as seen:
        return run(seen.url, tmp_path, "limit=30")


def test_half_a_pair_in_a_reply_is_replaced_and_counted(tmp_path: Path) -> None:
    done = ran(tmp_path, completion("An emoji \ud83d. The answer is 3.").content)
    assert done.code == 0, done.err
    assert (manifest(tmp_path)["halves"], manifest(tmp_path)["status"]) == (1, "complete")
    (rows,) = map(pd.read_parquet, tmp_path.rglob("rows.parquet"))
    assert "An emoji \ufffd. The answer is 3." in set(rows.text)


def test_a_whole_pair_stays() -> None:
    assert whole("\U0001f600 \ud83d\ud83d") == ("\U0001f600 \ufffd\ufffd", 2)


@pytest.mark.parametrize(
    "change",
    [
        {"usage": {"prompt_tokens": 3, "completion_tokens": 10**30}},
        *(
            pytest.param(change, marks=pytest.mark.slow)
            for change in (
                {"usage": {"prompt_tokens": -1, "completion_tokens": 5}},
                {"usage": "many"},
                {"choices": []},
                {"choices": [{"message": {"content": ["a", "list"]}}]},
                {"choices": [GOOD["choices"][0] | {"token_ids": [10**30]}]},
                {"choices": [GOOD["choices"][0] | {"logprobs": {"content": [{"token": "a", "bytes": [999]}]}}]},
            )
        ),
    ],
)
def test_a_reply_of_another_form_is_asked_again(tmp_path: Path, change: dict[str, Any]) -> None:
    done = ran(tmp_path, GOOD | change)
    assert (done.code, "1 requests got no answer" in done.err, "Traceback" in done.err) == (1, True, False)
    with serving(sends(GOOD)) as seen:
        assert run(seen.url, tmp_path, "limit=30").code == 0
    assert manifest(tmp_path)["status"] == "complete"


@pytest.mark.parametrize("usage", [{"usage": None}, pytest.param({}, marks=pytest.mark.slow)])
def test_a_server_that_does_not_count(tmp_path: Path, usage: dict[str, Any]) -> None:
    first = {name: value for name, value in GOOD.items() if name != "usage"} | usage
    assert ran(tmp_path, first).code == 0
    assert manifest(tmp_path)["statuses"] == {"ok": 30}


def test_a_journal_of_before_is_scored(tmp_path: Path) -> None:
    assert ran(tmp_path, GOOD).code == 0
    (journal,) = tmp_path.rglob("generations.jsonl")
    first, *rest = (json.loads(line) for line in journal.read_text().splitlines())
    lines = [first | {"text": "\ud83d. The answer is 3."}, *rest]
    old = [{name: value for name, value in line.items() if name not in ("crc32", "halves", "transient")} for line in lines]
    journal.write_bytes(b"".join(map(journal_line, old)))
    assert next(RunFolder(journal.parent).generations()).text.startswith("\ud83d"), "the journal itself stays what it was"
    done = command("score", f"results={tmp_path / 'x'}")
    assert done.code == 0, done.err
    assert manifest(tmp_path)["halves"] == 1


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("seed=99999999999999999999", "at most 63 bits"),
        ("sampling.temperature=nan", "sampling.temperature=nan: give a number that is at least 0"),
        *(
            pytest.param(word, complaint, marks=pytest.mark.slow)
            for word, complaint in (
                ("seed=-9223372036854775808", "at most 63 bits"),
                ("sampling.temperature=inf", "sampling.temperature=inf"),
                ("sampling.top_p=nan", "sampling.top_p=nan"),
                ("sampling.max_tokens=10000000000", "below 2**31"),
                ("sampling.samples=1000000", "from 1 to 10000"),
            )
        ),
    ],
)
def test_bounds_are_checked_before_anything_runs(tmp_path: Path, word: str, complaint: str) -> None:
    done = command("run", "backend=scripted", f"results={tmp_path / 'r'}", word)
    assert (done.code, complaint in done.error, (tmp_path / "r").exists()) == (2, True, False)


def test_the_largest_seed_is_scored(tmp_path: Path) -> None:
    few = ("backend=scripted", "task=[addition]", "condition=[direct]", "limit=2", "name=x")
    assert command("run", *few, f"seed={2**63 - 1}", f"results={tmp_path}").code == 0


def test_half_a_pair_in_transcripts_and_texts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "t.jsonl").write_text('{"text": "\\ud83d The answer is 18.", "gold": "18", "id": "\\ud83d"}\n')
    log = load_log(tmp_path / "t.jsonl", "number")
    (one,) = log.transcripts
    assert log.halves == 2
    assert (one.text, one.id) == ("\ufffd The answer is 18.", "\ufffd")
    rows = [{"id": "a", "text": "\ud83d b"}]
    assert check_texts(lambda: rows, "x").texts == 1
    assert [text for text, _ in texts_of(rows, "x")] == [("a", "\ufffd b")]
    assert caplog.text.count("halves of character pairs were replaced") == 1
