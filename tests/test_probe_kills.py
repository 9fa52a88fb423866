"""A probe that is killed again and again loses no record and computes none twice."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import outlines.models.transformers  # noqa: F401  # here, so that no process that is forked and killed has to import them
import pytest
import transformers.models.llama.modeling_llama  # noqa: F401

import experiments.score  # noqa: F401
from fmtbench.backbone import Backbone
from fmtbench.backends.scripted import Scripted
from fmtbench.decoding.sandbox import Limits
from fmtbench.probes.cell import CellProbe
from fmtbench.probes.commitment import CommitmentProbe, CommitmentSettings
from fmtbench.probes.commitment_cell import CommitmentCell
from fmtbench.probes.mass import MassProbe, MassSettings
from fmtbench.probes.replies import cell_replies
from fmtbench.running.committing import read_replies
from fmtbench.running.pipeline import run as run_job
from fmtbench.running.swapping import Ran
from fmtbench.store.folder import RunFolder
from fmtbench.types import Row
from tests import test_swap, test_swap_command
from tests.bigram import CHARACTERS, write_bigram
from tests.killing import asked, killed_when, slowly
from tests.test_lockin_command import cell, matrix, run

DELAY_S = 0.05
KILLS = pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])


def noted(records: Iterator[Any], trace: Path) -> Iterator[Any]:
    """Records that take their time, with a line in `trace` for each that was computed; what is refused costs nothing."""
    for record in records:
        if record.problem is None:
            time.sleep(DELAY_S)
            with open(trace, "a") as lines:
                lines.write(record.key + "\n")
        yield record


class SlowMass(MassProbe):
    trace: Path

    def measure(self, held: Any) -> Iterator[Any]:
        return noted(super().measure(held), self.trace)


class SlowCommitment(CommitmentProbe):
    trace: Path

    def measure(self, asked: Any) -> Iterator[Any]:
        return noted(super().measure(asked), self.trace)


def mass_slowly(place: Path, backbone: Backbone, trace: Path) -> None:
    from experiments.score import stored_cell

    _, task, condition = stored_cell(place)
    opened = MassSettings().open(backbone, "outlines", Limits(seconds=60))
    probe = SlowMass(opened.reference, opened.masks)
    probe.trace = trace
    with RunFolder(place) as folder:
        own = CellProbe(folder=folder, replies=list(cell_replies(folder, task, condition)))
        own.measure(probe)
        own.derive(probe)


def commit_slowly(place: Path, backbone: Backbone, trace: Path) -> None:
    from experiments.score import stored_cell

    named, task, condition = stored_cell(place)
    opened = CommitmentSettings(words=2, fractions=(0.0, 1.0), samples=100).open(backbone)
    probe = SlowCommitment(opened.reference, opened.settings)
    probe.trace = trace
    with RunFolder(place) as folder:
        ran = Ran(cell=named, folder=folder, task=task, condition=condition, config={})
        ((_, replies),) = read_replies([ran], opened.settings.samples)
        own = CommitmentCell(folder=folder, replies=replies)
        own.measure(probe)
        own.derive(probe)


@KILLS
@pytest.mark.parametrize(
    ("probe", "journal", "derived", "rows_VV"),
    [
        (mass_slowly, "mass-outlines.jsonl", "mass.parquet", matrix),
        (commit_slowly, "commitment.jsonl", "commitment.parquet", test_swap_command.matrix),
    ],
    ids=["mass", "commitment"],
)
def test_kills_lose_nothing_and_repeat_nothing(
    tmp_path: Path, kills: int, probe: Callable[..., None], journal: str, derived: str, rows_VV: Callable[[], Any]
) -> None:
    backbone = write_bigram(tmp_path / "bigram", CHARACTERS, rows_VV())
    drawn = ("sampling.temperature=1", f"sampling.samples={2 * kills}", "condition=[json_schema]", "sampling.max_tokens=160")
    whole = cell(run(backbone, tmp_path, *drawn), "json_schema")
    killed, trace = tmp_path / "killed", tmp_path / "trace"
    shutil.copytree(whole, killed)
    probe(whole, backbone, tmp_path / "once")
    count = 0
    for number in range(kills):
        count += killed_when(lambda: len(asked(trace)) > 3 * number + 1, probe, killed, backbone, trace)  # noqa: B023
    probe(killed, backbone, trace)
    assert count == kills
    computed = asked(trace)
    assert set(computed) == set(asked(tmp_path / "once"))
    assert len(computed) - len(set(computed)) <= kills, "a kill loses the record that was being written, and no other"
    assert (killed / derived).read_bytes() == (whole / derived).read_bytes()
    keys = [[record["key"] for record in RunFolder(one).lines(journal).records()] for one in (killed, whole)]
    assert len(keys[0]) == len(set(keys[0])) == len(keys[1])


# -- the swap, whose cells are ordinary ones

SAYS = test_swap.model(lambda request, said: request.constraint is None)


def swap_slowly(folder: Path, limit: int, trace: Path) -> list[Row]:
    job = test_swap.base_job(folder, SAYS, conditions=test_swap.PAIR, sampling=test_swap.SAMPLING, limit=limit)
    made = test_swap.swaps_of(replace(job, backend=Scripted(reply=slowly(SAYS, trace))))
    return run_job(made.job, plans=made.plans)


@KILLS
def test_kills_of_a_swap(tmp_path: Path, kills: int) -> None:
    limit, folder, trace = 2 + kills // 4, tmp_path / "killed", tmp_path / "trace"
    for one in (folder, tmp_path / "whole"):
        test_swap.begin(one, SAYS, limit=limit)
    whole = swap_slowly(tmp_path / "whole", limit, tmp_path / "once")
    count = sum(killed_when(lambda: len(asked(trace)) > 2 * n + 1, swap_slowly, folder, limit, trace) for n in range(kills))  # noqa: B023
    rows = swap_slowly(folder, limit, trace)
    assert count == kills
    assert [replace(row, seconds=0.0) for row in rows] == [replace(row, seconds=0.0) for row in whole]
    computed = asked(trace)
    assert set(computed) == set(asked(tmp_path / "once"))
    assert len(computed) - len(asked(tmp_path / "once")) <= kills
    for journal in folder.rglob("e-swap/**/generations.jsonl"):
        keys = [json.loads(line)["key"] for line in journal.read_bytes().splitlines()]
        assert len(keys) == len(set(keys)) == limit
