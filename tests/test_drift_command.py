"""`experiments.embed study=drift` on rows whose drift is known, with a real encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.reporting.rationale_drift import drift_table, shown_drift
from fmtbench.errors import UserError
from tests.commanding import Done, command
from tests.made_rows import made_rows

TOPICS = [
    "the price of apples at the market",
    "a train between two cities",
    "the number of students in a class",
    "how long a candle burns",
    "water that fills a tank",
    "a farmer and his cows",
    "the age of a grandmother",
    "the pages of a novel",
    "runners on a track",
    "money in a savings account",
    "tickets for a concert",
    "the seats of an aeroplane",
]
OTHER = TOPICS[5:] + TOPICS[:5]


def written(i: int, topic: str) -> str:
    return f'{{"reasoning": "This is about {topic}. Add the numbers.", "answer": {i}}}'


def rows(again: list[str] = TOPICS) -> pd.DataFrame:
    """Free twice, JSON of the same content (even items right, odd wrong), and JSON of another item's content.

    `again`: what the second free sample of each item is about.
    """
    texts = {
        "free_cot": [
            [
                [
                    f"We are asked about {topic}. We add the two numbers.\nThe answer is {i}.",
                    f"This is about {second}, so we must add both numbers.\nThe answer is {i}.",
                ]
            ]
            for i, (topic, second) in enumerate(zip(TOPICS, again))
        ],
        "json_schema": [written(i, topic) for i, topic in enumerate(TOPICS)],
        "lost": [written(i, topic) for i, topic in enumerate(OTHER)],
    }
    verdicts = {name: np.ones(np.shape(given)) for name, given in texts.items()}
    verdicts["json_schema"][1::2] = 0
    return made_rows(verdicts, text=texts)


def run(results: Path, output: Path, *arguments: str) -> Done:
    return command("embed", "study=drift", f"results={results}", f"output={output}", *arguments)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    (tmp_path / "results").mkdir()
    rows().to_parquet(tmp_path / "results" / "rows.parquet")
    return tmp_path / "results"


def test_the_table_and_the_figure(results: Path, tmp_path: Path) -> None:
    done = run(results, tmp_path / "out", "embedder=minilm")
    assert done.code == 0, done.err[-2000:]
    table = pd.read_csv(tmp_path / "out" / "drift.csv").set_index("condition")
    assert list(table.index) == ["json_schema", "lost"]
    same, lost = table.loc["json_schema"], table.loc["lost"]
    assert bool(same.passed)
    assert same.gate == same.match == 1
    assert same.drift < 0.3
    assert lost.drift == pytest.approx(1, abs=0.25)
    assert lost.match < 0.2
    assert "| json_schema |" in done.out
    assert (tmp_path / "out" / "drift.md").read_text() == done.out
    assert (tmp_path / "out" / "drift.png").stat().st_size > 5_000
    assert "/results;" not in done.out


def test_a_failed_gate_is_a_table_without_a_figure(tmp_path: Path) -> None:
    rows(again=OTHER).to_parquet(tmp_path / "rows.parquet")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "drift.png").touch()
    done = run(tmp_path, tmp_path / "out", "embedder=minilm")
    assert (done.code, done.err.splitlines()[-1].split(":")[0]) == (0, "no figure"), done.err[-2000:]
    assert " FAILED |" in done.out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["drift.csv", "drift.md"], "none of another run either"


def test_one_sample_is_refused_and_so_is_an_unknown_free_condition(results: Path, tmp_path: Path) -> None:
    for free, message in (("lost", "lost has one sample an item"), ("prose", "no condition 'prose'")):
        with pytest.raises(UserError, match=message):
            drift_table(rows(), {"minilm": None}, None, free, "rationale")
    done = run(tmp_path / "nowhere", tmp_path / "out")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "holds no rows.parquet" in done.err


def test_a_failed_gate_shows_no_figures() -> None:
    line = dict.fromkeys(["drift", "drift_low", "drift_high", "match", "match_centred", "share_item", "share_format"], 0.5)
    line |= dict.fromkeys(["cka", "cka_null", "link", "link_low", "link_high"], 0.5) | {"gate": 0.4, "items": 40}
    names = {"backbone": "b", "task": "t", "prompt": "p", "condition": "c", "embedder": "e"}
    table = pd.DataFrame([names | line | {"passed": False}, names | line | {"passed": True, "gate": 0.95}])
    failed, passed = (dict(one) for _, one in shown_drift(table).iterrows())
    assert failed["gate"] == "0.40 FAILED"
    assert not any(failed[name] for name in ("drift", "match", "centred", "item", "format", "CKA", "link to loss"))
    assert passed["drift"] == passed["link to loss"] == "0.50 [0.50, 0.50]"
