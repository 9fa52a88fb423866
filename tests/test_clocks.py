"""R19: a clock that is put back, time zones, and two hosts an hour apart: order and resume do not depend on what time it is."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest

from fmtbench.running import scoring
from fmtbench.running.pipeline import run
from fmtbench.store import files, folder, journal, provenance
from fmtbench.store.files import OLD_SECONDS, replacing, write_text
from tests.test_pipeline import Counting, adds, job

HOUR = 3600.0


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def set_zone(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield set_zone
    monkeypatch.undo()
    time.tzset()


def shifted(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """The clock of this process is so many seconds off, wherever fmtbench looks at one."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) + timedelta(seconds=seconds)

    for module in (folder, provenance, scoring):
        monkeypatch.setattr(module, "datetime", Clock)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + seconds)


@pytest.mark.parametrize("shift", [-HOUR, HOUR, -30 * 365 * 24 * HOUR])
def test_a_run_that_goes_on_under_another_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: Any, shift: float) -> None:
    """Half of it is asked now, the rest under a shifted clock in another zone: nothing is asked twice, the rows are the same."""
    counting = Counting(adds)

    def breaks(request: Any) -> str:
        if sum(counting.asked.values()) == 11:
            raise KeyboardInterrupt
        return counting(request)

    zone("Pacific/Kiritimati")
    with pytest.raises(KeyboardInterrupt):
        run(job(tmp_path, breaks))
    with monkeypatch.context() as patch:
        shifted(patch, shift)
        zone("America/St_Johns")
        rows = run(job(tmp_path, counting))
    assert set(counting.asked.values()) == {1}
    zone("UTC")
    assert rows == run(job(tmp_path / "unbroken"))


def test_times_in_the_files_are_of_no_zone(tmp_path: Path, zone: Any) -> None:
    for name in ("Pacific/Kiritimati", "America/St_Johns"):
        zone(name)
        this = job(tmp_path / name.replace("/", "-"), limit=2)
        before = datetime.now(UTC)
        run(this)
        facts = this.cells[0].folder(this.results).manifest()
        for moment in (facts["started"], facts["finished"]):
            assert moment.endswith("+00:00")
            assert abs(datetime.fromisoformat(moment) - before) < timedelta(minutes=2)


def test_a_journal_is_synced_whatever_the_clock_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is put back must not put the next sync off by as much: a second of work may be lost, never an hour."""
    calls: list[int] = []
    real, synced = journal.time.monotonic, os.fsync
    monkeypatch.setattr(journal.os, "fsync", lambda descriptor: (calls.append(descriptor), synced(descriptor))[1])
    shifted(monkeypatch, -HOUR)
    monkeypatch.setattr(journal.time, "monotonic", lambda: real() + 2 * len(calls))
    run(job(tmp_path, limit=2))
    assert len(calls) > 6


# -- two hosts on one disk


def test_a_part_that_another_host_writes_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files get the time of the disk: by this host's clock, an hour ahead, a part of this moment would look like a kill's."""
    other = tmp_path / ".a.part-1"
    other.write_text("half")
    shifted(monkeypatch, 2 * OLD_SECONDS)
    write_text(tmp_path / "a", "whole")
    assert other.read_text() == "half"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a.part-1", "a"]


def test_a_part_that_is_old_for_the_disk_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The null of the test above: under a clock that is put back, an old part is old."""
    old = tmp_path / ".a.part-1"
    old.write_text("half")
    os.utime(old, (0, time.time() - OLD_SECONDS - 60))
    shifted(monkeypatch, -2 * OLD_SECONDS)
    with replacing(tmp_path / "a") as part:
        part.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_where_the_disk_tells_no_time_nothing_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / ".a.part-1"
    old.write_text("half")
    os.utime(old, (0, 0))
    monkeypatch.setattr(files, "_clock", lambda _: 0.0)
    write_text(tmp_path / "a", "whole")
    assert old.exists()
