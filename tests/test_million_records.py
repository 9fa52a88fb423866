"""R20: a million records need no more memory than a few cells of them, and the journal costs next to nothing beside a model."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from fmtbench.errors import LockedError
from fmtbench.running import claiming, planning
from fmtbench.running.asking import answer
from fmtbench.running.pipeline import run
from fmtbench.running.planning import Planner, plan
from fmtbench.store.folder import RunFolder
from fmtbench.types import IDENTITY, Constraint, Generation, Message, Request
from tests.conftest import ROOT
from tests.million_records import CELL, job
from tests.test_passes import CONVERTED, converts
from tests.test_pipeline import Counting
from tests.test_pipeline import job as small_job

GIGABYTE = 1e9
REPLY_S = 0.002
"""Of a model that answers 500 requests a second, which few do."""


def measured(place: Path, records: int) -> Any:
    words = [sys.executable, "-m", "tests.million_records", str(place), str(records)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.slow
def test_a_million_records_take_less_than_a_gigabyte(tmp_path: Path) -> None:
    found = measured(tmp_path, 1_000_000)
    print(found)
    assert found["records"] == found["journalled"] == 1_000_000
    assert found["memory"] < GIGABYTE
    assert found["scan_s"] < 10


@pytest.fixture
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if memory had room for ten requests."""
    for module in (planning, claiming):
        monkeypatch.setattr(module, "MOST_REQUESTS", 10)


@pytest.mark.usefixtures("little_room")
def test_few_cells_at_a_time_come_to_the_same(tmp_path: Path) -> None:
    """Steps of one cell: the same rows in the same order, and nothing that cells share is asked twice."""
    counting = Counting(converts)
    rows = run(small_job(tmp_path / "a", counting, conditions=CONVERTED))
    assert len(counting.asked) == 8 + 16
    assert set(counting.asked.values()) == {1}
    assert rows == run(small_job(tmp_path / "b", converts, conditions=CONVERTED))
    again = Counting(converts)
    assert run(small_job(tmp_path / "a", again, conditions=CONVERTED)) == rows
    assert not again.asked


@pytest.mark.usefixtures("little_room")
def test_plans_are_not_held_where_they_are_many(tmp_path: Path) -> None:
    this = job(tmp_path, 4 * CELL)
    planner = Planner(this)
    assert not planner._kept
    assert [len(planner.plan(cell)) for cell in this.cells] == [CELL] * 4
    few = small_job(tmp_path / "few", limit=3)
    assert Planner(few)._kept == plan(few), "nine requests: they are made once"


@pytest.mark.usefixtures("little_room")
def test_steps_hold_the_locks_of_their_own_cells_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process can work on the cells that come later."""
    this = small_job(tmp_path)
    free: list[int] = []

    def counted(request: Request) -> str:
        folders = [cell.folder(this.results) for cell in this.cells]
        free.append(sum(map(takes, folders)))
        return "The answer is 1."

    run(replace(this, backend=small_job(tmp_path, counted).backend))
    assert set(free) == {2}


def takes(folder: RunFolder) -> bool:
    """Whether the lock of a folder can be had."""
    try:
        with folder:
            return True
    except LockedError:
        return False


def test_the_way_to_the_journal_costs_next_to_nothing_beside_a_model(tmp_path: Path) -> None:
    """Processor time of one stream through `answer` into the journal, less that of a bare loop over the same model."""
    this = job(tmp_path, 2 * CELL)
    (planned, _) = plan(this).values()
    requests = [one.request for one in planned]
    keys = [request.key for request in requests]
    session = this.backend.open(this.backbone)

    def bare() -> None:
        kept = {generation.key: generation.text for generation in session.generate(requests)}
        assert len(kept) == len(keys)

    def journalled(name: str) -> None:
        with RunFolder(tmp_path / name) as folder:
            answer(session, [(folder.append, requests)], lambda total, stream: stream)

    costs = [seconds(journalled, str(k)) - seconds(bare) for k in range(3)]
    share = min(costs) / len(requests) / REPLY_S
    print(f"\n{1e6 * min(costs) / len(requests):.1f} µs a record, {share:.1%} of a reply of {1000 * REPLY_S:.0f} ms")
    assert 0 < share < 0.03


def seconds(call: Callable[..., None], *arguments: str) -> float:
    started = time.process_time()
    call(*arguments)
    return time.process_time() - started


def test_a_stream_is_not_held(tmp_path: Path) -> None:
    """Each generation is written before the next one is made."""
    this = job(tmp_path, 2 * CELL)
    (planned, _) = plan(this).values()
    requests, written = [one.request for one in planned[:20]], list[str]()

    def watch(total: int, stream: Iterable[Generation]) -> Iterator[Generation]:
        for number, generation in enumerate(stream):
            assert len(written) == number
            yield generation

    answer(this.backend.open(this.backbone), [(lambda one: written.append(one.key), requests)], watch)
    assert len(written) == 20


UNSAID = ("thinking", "chat_template_kwargs")
"""Where they are empty, so that older keys stay what they were."""


def test_a_request_written_by_hand_has_every_field() -> None:
    """`as_dict` names the nested fields itself, for speed: here it is held to `asdict`."""
    whole = Request(
        messages=(Message(role="user", content="a"), Message(role="assistant", content="b")),
        constraint=Constraint(kind="regex", source="x"),
        identity="i",
        seed=3,
    )
    for request in (whole, replace(whole, constraint=None)):
        known = {name: value for name, value in asdict(request).items() if name not in UNSAID or value}
        assert request.as_dict() == {IDENTITY if name == "identity" else name: value for name, value in known.items()}
