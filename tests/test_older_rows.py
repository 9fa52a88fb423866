"""Rows of an older version are refused with the remedy, and `experiments.score` brings them to today's, without a model."""

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from experiments.starting.build import build_group
from fmtbench.analysis.rows.frame import load_rows
from fmtbench.analysis.rows.packed import CELLS
from fmtbench.errors import UserError
from fmtbench.readers.reply import LONGEST
from fmtbench.running.read_again import read_again
from fmtbench.store.journal import journal_line
from fmtbench.store.rows import VERSION_KEY
from tests.commanding import command
from tests.conftest import ROOT, composed

STUDY = ROOT / "paper" / "data" / "smollm2_135m"
CELL = ["condition", "prompt"]


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """Two cells of the committed study as version 1 had them: with no marked reading, and one status for two."""
    cells = pq.read_table(STUDY / CELLS).to_pandas()
    cells = cells[(cells.task == "gsm8k") & cells.condition.isin(["free_cot", "json_prompt"])].groupby("condition").head(1)
    rows = pq.read_table(STUDY / "rows.parquet").to_pandas()
    rows = rows[rows.task == "gsm8k"].merge(cells[CELL], on=CELL).drop(columns=["marked_answer", "marked_correct"])
    rows["status"] = rows["status"].replace({"another_mark": "invalid_format", "no_mark": "invalid_format"})
    table = pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata({VERSION_KEY: b"1"})
    (tmp_path / "pack").mkdir()
    pq.write_table(table, tmp_path / "pack" / "rows.parquet")
    pq.write_table(pa.Table.from_pandas(cells, preserve_index=False), tmp_path / "pack" / CELLS)
    return tmp_path


def test_older_rows_say_their_version_and_what_to_do(older: Path) -> None:
    with pytest.raises(UserError, match=r"holds rows of version 1, this fmtbench reads version 2: .*experiments\.score"):
        load_rows(older)


def test_score_brings_a_pack_to_todays_rows(older: Path) -> None:
    done = command("score", f"results={older}")
    assert done.code == 0, done.err
    found, study = load_rows(older, mixed=True), load_rows(STUDY, mixed=True)
    study = study[study.task == "gsm8k"].merge(found[CELL].drop_duplicates(), on=CELL)
    columns = ["condition", "item_id", "sample", "status", "correct", "marked_correct", "latent_correct", "reasoning_words"]
    one, other = (frame[columns].sort_values(columns[:3]).reset_index(drop=True) for frame in (found, study))
    pd.testing.assert_frame_equal(one.astype(str), other.astype(str))
    assert {"another_mark", "no_mark"} <= set(found.status)


@pytest.mark.parametrize(("task", "lacking"), [("commonsenseqa", "options"), ("last_letter_2_names", "other accepted spellings")])
def test_rows_that_do_not_say_enough_of_their_items_are_refused(tmp_path: Path, task: str, lacking: str) -> None:
    """Options in a question that was left out, aliases: read without them, right answers would turn wrong."""
    (judge,) = build_group(composed(f"task={task}", f"data_root={tmp_path}").task).values()
    (condition,) = build_group(composed("condition=free_cot").condition).values()
    rows = pd.DataFrame([{"item_id": "x", "question": "", "gold": "A", "text": "The answer is A.", "finish_reason": "stop"}])
    with pytest.raises(UserError, match=rf"item x: .*{lacking}"):
        read_again(rows, judge, condition)


def test_score_says_of_long_replies_that_their_ends_were_read(tmp_path: Path) -> None:
    words = ("backend=scripted", "task=[addition]", "condition=[direct]", "limit=2", "name=x", f"results={tmp_path}")
    assert command("run", *words).code == 0
    (journal,) = tmp_path.rglob("generations.jsonl")
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    lines[0]["text"] = "word " * LONGEST + lines[0]["text"]
    journal.write_bytes(
        b"".join(journal_line({name: value for name, value in line.items() if name != "crc32"}) for line in lines)
    )
    done = command("score", f"results={tmp_path}")
    assert f"1 replies of more than {LONGEST} characters were read from both ends" in done.out + done.err
