"""A probe that is killed again and again loses no record and computes none twice."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import outlines.models.transformers  # noqa: F401  # here, so that no process that is forked and killed has to import them
import pytest
import transformers.models.llama.modeling_llama  # noqa: F401

import experiments.score  # noqa: F401
from fmtbench.backbone import Backbone
from fmtbench.decoding.sandbox import Limits
from fmtbench.probes.cell import CellProbe
from fmtbench.probes.mass import MassProbe, MassSettings
from fmtbench.probes.replies import cell_replies
from fmtbench.store.folder import RunFolder
from tests.bigram import CHARACTERS, write_bigram
from tests.killing import killed_when
from tests.test_lockin_command import cell, matrix, run

DELAY_S = 0.05


class Slow(MassProbe):
    """Takes its time for each record, and leaves a line for it in a trace."""

    trace: Path

    def measure(self, held: Any) -> Iterator[Any]:
        for record in super().measure(held):
            time.sleep(DELAY_S)
            with open(self.trace, "a") as lines:
                lines.write(record.key + "\n")
            yield record


def probe_slowly(place: Path, backbone: Backbone, trace: Path) -> None:
    from experiments.score import stored_cell

    _, task, condition = stored_cell(place)
    opened = MassSettings().open(backbone, "outlines", Limits(seconds=60))
    probe = Slow(opened.reference, opened.masks)
    probe.trace = trace
    with RunFolder(place) as folder:
        own = CellProbe(folder=folder, replies=list(cell_replies(folder, task, condition)))
        own.measure(probe)
        own.derive(probe)


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_kills_lose_nothing_and_repeat_nothing(tmp_path: Path, kills: int) -> None:
    backbone = write_bigram(tmp_path / "bigram", CHARACTERS, matrix())
    drawn = ("sampling.temperature=1", f"sampling.samples={2 * kills}", "condition=[json_schema]")
    whole = cell(run(backbone, tmp_path, *drawn), "json_schema")
    killed = tmp_path / "killed"
    shutil.copytree(whole, killed)
    probe_slowly(whole, backbone, tmp_path / "once")
    trace, count = tmp_path / "trace", 0
    for number in range(kills):
        count += killed_when(lambda: lines(trace) > 3 * number + 1, probe_slowly, killed, backbone, trace)  # noqa: B023
    probe_slowly(killed, backbone, trace)
    assert count == kills
    asked = trace.read_text().split()
    assert set(asked) == set((tmp_path / "once").read_text().split())
    assert len(asked) - len(set(asked)) <= kills, "a kill loses the record that was being written, and no other"
    assert (killed / "mass.parquet").read_bytes() == (whole / "mass.parquet").read_bytes()
    keys = [record["key"] for record in RunFolder(killed).lines("mass-outlines.jsonl").records()]
    assert len(keys) == len(set(keys)) == 6 * kills


def lines(trace: Path) -> int:
    return trace.read_text().count("\n") if trace.exists() else 0
