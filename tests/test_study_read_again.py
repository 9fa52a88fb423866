"""Every reply of the committed study is read today as it was read when the study was made.

The statuses, answers and verdicts in paper/data are those of the readers of that time: whoever changes a reader on purpose
scores the study again, and every published figure with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf

from experiments.starting.build import build_group
from fmtbench.analysis.rows.packed import CELLS, unpack
from fmtbench.answers import AnswerKind
from fmtbench.readers.latent import read_latent
from fmtbench.types import Generation, Item
from tests.conftest import ROOT

PACKS = sorted((ROOT / "paper" / "data").glob("*/rows.parquet"))
OPTION = re.compile(r"^\([A-Z]\) (.*)$", re.M)


class Verdict(NamedTuple):
    """What the readers and the answer kind say of one reply."""

    status: str
    answer: str | None
    correct: bool
    latent_answer: str | None
    latent_correct: bool


def read_again(rows: pd.DataFrame, config: dict[str, Any]) -> Iterator[tuple[Verdict, Verdict, str]]:
    """What a cell's rows hold, what is found today, and the text."""
    (task,) = build_group(OmegaConf.create(config["task"])).values()
    (condition,) = build_group(OmegaConf.create(config["condition"])).values()
    for row in rows.itertuples():
        item = Item(id=row.item_id, question=row.question, gold=row.gold, choices=tuple(OPTION.findall(row.question)))
        known = (row.status, given(row.answer), row.correct, given(row.latent_answer), row.latent_correct)
        yield Verdict(*known), read_reply(row, condition, task.kind(item)), row.text


def read_reply(row: Any, condition: Any, kind: AnswerKind) -> Verdict:
    found = condition.read(Generation(key="", text=row.text, finish_reason=row.finish_reason), kind)
    latent = read_latent(row.text, kind)
    correct = found.status == "ok" and kind.same(found.answer, row.gold)
    return Verdict(found.status, found.answer, correct, latent.answer, kind.same(latent.answer, row.gold))


def given(answer: Any) -> str | None:
    return answer if isinstance(answer, str) else None


def read_pack(path: Path, every: int) -> int:
    """How many replies were read: of each cell, every so manieth."""
    count = 0
    for cell in unpack(pq.read_table(path).to_pandas(), path.with_name(CELLS)):
        for known, found, text in read_again(cell.rows.iloc[::every], cell.config):
            assert found == known, text
            count += 1
    return count


@pytest.mark.parametrize("path", PACKS, ids=lambda path: path.parent.name)
def test_a_tenth_of_the_replies_reads_as_before(path: Path) -> None:
    assert read_pack(path, every=10) >= 1000


@pytest.mark.slow
@pytest.mark.parametrize("path", PACKS, ids=lambda path: path.parent.name)
def test_all_replies_read_as_before(path: Path) -> None:
    assert read_pack(path, every=1) == 10_400


def test_there_are_two_models_to_read_again() -> None:
    assert len(PACKS) == 2
