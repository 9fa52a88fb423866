"""Every reply of the committed study is read today as its rows say, and the three readings are in their order.

Whoever changes a reader on purpose scores the study again (`experiments.score results=paper/data`), and every published figure
with it.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from experiments.starting.build import build_stored
from fmtbench.analysis.rows.frame import load_rows
from fmtbench.analysis.rows.packed import CELLS, unpack
from fmtbench.conditions.condition import Condition
from fmtbench.running.read_again import READ, read_again
from fmtbench.tasks.base import Task
from tests.conftest import ROOT

PACKS = sorted((ROOT / "paper" / "data").glob("*/rows.parquet"))


def read_pack(path: Path, every: int) -> int:
    """How many replies were read: of each cell, every so manieth."""
    count = 0
    for cell in unpack(pq.read_table(path).to_pandas(), path.with_name(CELLS)):
        known = cell.rows.iloc[::every]
        (_, task), (_, condition) = (build_stored(cell.config, group, kind) for group, kind in GROUPS.items())
        found = read_again(known, task, condition)
        pd.testing.assert_frame_equal(found[list(READ)].astype(str), known[list(READ)].astype(str))
        count += len(known)
    return count


GROUPS = {"task": Task, "condition": Condition}


@pytest.mark.parametrize("path", PACKS, ids=lambda path: path.parent.name)
def test_a_tenth_of_the_replies_reads_as_its_rows_say(path: Path) -> None:
    assert read_pack(path, every=10) >= 1000


@pytest.mark.slow
@pytest.mark.parametrize("path", PACKS, ids=lambda path: path.parent.name)
def test_all_replies_read_as_their_rows_say(path: Path) -> None:
    assert read_pack(path, every=1) == 10_400


def test_there_are_two_models_to_read_again() -> None:
    assert len(PACKS) == 2


def test_each_reading_credits_what_the_stricter_one_does() -> None:
    """But where the answer is to come first: there the contract takes the first statement, and the others the last."""
    rows = load_rows(ROOT / "paper" / "data", mixed=True)
    assert not (rows.marked_correct & ~rows.latent_correct).any()
    unsaid = rows[rows.correct & ~rows.marked_correct]
    assert set(unsaid.condition) <= {"direct", "free_cot_answer_first"}
    assert len(unsaid) < rows.correct.sum() / 300
