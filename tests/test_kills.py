"""kill -9 of the process group at random moments, resumes elsewhere, several writers at once, and a writer that was frozen.

What a model was asked is counted by the model itself, so that a request that ran twice is seen wherever its reply went.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from fmtbench.backends.base import Session
from fmtbench.backends.scripted import Scripted, ScriptedSession, example_reply
from fmtbench.running import claiming
from fmtbench.running.pipeline import run
from fmtbench.store import provenance
from tests.commanding import command
from tests.conftest import FAST, ROOT
from tests.killing import after, asked, kill_group, killed_when, slowly, started
from tests.test_pipeline import adds, job

REQUESTS = 24


def slow_run(folder: Path) -> None:
    claiming.LOOK_AGAIN_SECONDS = 0.02
    run(job(folder, slowly(adds, folder / "trace")))


def journalled(root: Path) -> dict[Path, list[bytes]]:
    """The whole lines of each journal; what a kill cut off is none."""
    return {path: path.read_bytes().split(b"\n")[:-1] for path in root.rglob("generations.jsonl")}


def check_finished(folder: Path, kills: int) -> None:
    """Every item has its one row, every record is there once, and no more ran twice than were in flight at the kills."""
    rows = run(job(folder))
    assert len({(row.condition, row.item_id) for row in rows}) == len(rows) == REQUESTS
    assert all(row.correct for row in rows)
    lines = [line for lines in journalled(folder).values() for line in lines]
    assert len({json.loads(line)["key"] for line in lines}) == len(lines) == REQUESTS
    counts = Counter(asked(folder / "trace"))
    assert len(counts) == REQUESTS
    assert counts.total() - REQUESTS <= kills, "one is in flight at a time"


@pytest.mark.parametrize("wanted", [20, pytest.param(300, marks=pytest.mark.slow)])
def test_kills_at_random_moments(tmp_path: Path, wanted: int) -> None:
    """R1. One kill in eight comes before anything is asked, and some after everything is: these are moments, too."""
    moments = random.Random(wanted)
    kills, folder, of_this = 0, tmp_path / "0", 0
    while kills < wanted:
        before = journalled(folder)
        if killed_when(after(moments.uniform(0, REQUESTS * 0.01)), slow_run, folder):
            kills, of_this = kills + 1, of_this + 1
            now = journalled(folder)
            assert all(now[path][: len(lines)] == lines for path, lines in before.items()), "what was journalled stays"
        else:
            check_finished(folder, of_this)
            folder, of_this = tmp_path / str(kills), 0
    slow_run(folder)
    check_finished(folder, of_this)


@pytest.mark.slow
@pytest.mark.model
def test_kills_of_the_real_engine(tmp_path: Path) -> None:
    """R1. Whatever transformers and the child that compiles grammars do at that moment; the last run goes to its end."""
    words = ("backend=hf", FAST, "task=[addition]", "condition=[free_cot,json_schema]", "limit=6", "sampling.max_tokens=24")
    line = [sys.executable, "-m", "experiments.run", *words, "name=x", f"results={tmp_path}"]
    moments, before = random.Random(0), dict[Path, list[bytes]]()
    for _ in range(5):
        running = subprocess.Popen(line, cwd=ROOT, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        reached = sum(map(len, journalled(tmp_path).values())) + 1
        while running.poll() is None and sum(map(len, journalled(tmp_path).values())) < reached:
            time.sleep(0.02)
        time.sleep(moments.uniform(0, 0.3))
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
        now = journalled(tmp_path)
        assert all(now[path][: len(lines)] == lines for path, lines in before.items())
        before = now
    assert subprocess.run(line, cwd=ROOT, capture_output=True, check=False).returncode == 0
    keys = Counter(json.loads(line)["key"] for lines in journalled(tmp_path).values() for line in lines)
    assert set(keys.values()) == {1}
    assert len(keys) == sum(len(pd.read_parquet(path)) for path in tmp_path.rglob("rows.parquet")) == 12


# -- elsewhere


@dataclass(frozen=True, kw_only=True)
class SlowScripted(Scripted):
    """A backend of a config: scripted, at its pace, with a trace."""

    trace: str

    def open(self, backbone: object) -> Session:
        return ScriptedSession(slowly(example_reply, Path(self.trace)))


def resumed(results: Path, trace: Path, place: Path, host: str) -> None:
    """The command as another user of another machine starts it: nothing of the first one's folders is there."""
    for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "HF_HOME"):
        (place / name).mkdir(parents=True)
        os.environ[name] = str(place / name)
    os.chdir(place)
    _call_this_host(host)
    backend = ("backend=scripted", "backend._target_=tests.test_kills.SlowScripted", f"+backend.trace={trace}", "plugins=[tests]")
    words = ("task=[addition]", "condition=[free_cot,nl_to_json]", "limit=12", "name=x", f"results={results}")
    done = command("run", *backend, *words)
    assert done.code == 0, done.err


def _call_this_host(name: str) -> None:
    """In a namespace of its own where that is allowed, else for Python alone."""
    new_names = 0x04000000  # CLONE_NEWUTS
    if ctypes.CDLL(None).unshare(new_names) == 0:
        socket.sethostname(name)
    else:
        socket.gethostname = lambda: name  # type: ignore[assignment]


@pytest.mark.parametrize("kills", [2, pytest.param(12, marks=pytest.mark.slow)])
def test_a_resume_elsewhere(tmp_path: Path, kills: int) -> None:
    """R4. After each kill home, caches, temporary folders and the host are others, and the results lie in another folder."""
    trace, moments, killed = tmp_path / "trace", random.Random(kills), 0
    results = tmp_path / "results-0"
    for turn in range(kills):
        place, stop = tmp_path / f"place-{turn}", len(asked(trace)) + moments.randint(1, 2)
        killed += killed_when(lambda stop=stop: len(asked(trace)) >= stop, resumed, results, trace, place, f"host-{turn}")
        shutil.rmtree(place)
        results = results.rename(tmp_path / f"results-{turn + 1}")
    with started(resumed, results, trace, tmp_path / "last", "last-host") as process:
        process.join()
    assert (process.exitcode, killed) == (0, kills)
    counts = Counter(asked(trace))
    assert len(counts) == 24, "12 first passes that both cells share, and 12 second passes"
    assert counts.total() - 24 <= kills
    frames = [pd.read_parquet(path) for path in results.rglob("rows.parquet")]
    assert [len(frame.drop_duplicates("item_id")) for frame in frames] == [12, 12]


# -- several at once


@pytest.mark.parametrize(("starts", "at_once"), [(4, 4), *(pytest.param(16, n, marks=pytest.mark.slow) for n in (2, 4, 8, 8))])
def test_many_at_once_do_each_item_once(tmp_path: Path, starts: int, at_once: int) -> None:
    """R6. Under each round of processes the lock file of the first cell that has one is deleted while they work."""
    for turn in range(0, starts, at_once):
        folder = tmp_path / str(turn)
        processes = [started(slow_run, folder) for _ in range(at_once)]
        running = [process.__enter__() for process in processes]
        while not (locks := list(folder.rglob(".lock"))) or len(asked(folder / "trace")) < 2:
            assert any(process.is_alive() for process in running)
            time.sleep(0.005)
        locks[0].unlink()
        for process in running:
            process.join(60)
        assert [process.exitcode for process in running] == [0] * at_once
        for process in processes:
            process.__exit__(None, None, None)
        check_finished(folder, kills=0)


@pytest.mark.parametrize("turns", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_a_holder_that_was_frozen_writes_nothing_twice(tmp_path: Path, turns: int) -> None:
    """R7. While it is stopped it holds its cells, so the other one waits; continued, it finishes them."""
    for turn in range(turns):
        folder = tmp_path / str(turn)
        with started(slow_run, folder) as holder:
            while len(asked(folder / "trace")) < 3 + turn:
                time.sleep(0.002)
            assert holder.pid
            os.kill(holder.pid, signal.SIGSTOP)
            frozen = len(asked(folder / "trace"))
            with started(slow_run, folder) as other:
                other.join(0.5)
                assert other.is_alive(), "it waits"
                assert len(asked(folder / "trace")) == frozen
                os.kill(holder.pid, signal.SIGCONT)
                _join([holder, other])
        check_finished(folder, kills=0)


def _join(processes: Sequence[object]) -> None:
    for process in processes:
        process.join(60)  # type: ignore[attr-defined]
        assert process.exitcode == 0  # type: ignore[attr-defined]


def test_a_count_that_is_wrong_is_seen(tmp_path: Path) -> None:
    """The null of this file: a second writer that takes no heed of the first is found out."""
    slow_run(tmp_path / "a")
    run(job(tmp_path / "b", slowly(adds, tmp_path / "a" / "trace")))
    with pytest.raises(AssertionError, match="one is in flight"):
        check_finished(tmp_path / "a", kills=0)


def test_a_killed_group_is_gone(tmp_path: Path) -> None:
    with started(slow_run, tmp_path) as process:
        kill_group(process)
        process.join()
        assert process.exitcode == -9


def test_a_kill_leaves_no_lock_of_git(tmp_path: Path) -> None:
    """Asking for the state of a checkout takes no lock on its index, which a kill at that moment would leave behind."""
    (tmp_path / "file").write_text("a")
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    for words in (["init", "-q"], ["add", "file"], [*who, "commit", "-qm", "a"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    index = tmp_path / ".git" / "index"

    def rewritten(ask: Callable[[], object]) -> bool:
        os.utime(tmp_path / "file", (0, 0))  # git would note that it is the same all the same
        before = index.stat().st_ino
        ask()
        return index.stat().st_ino != before

    assert not rewritten(lambda: provenance._git(tmp_path, "status", "--porcelain"))
    assert rewritten(lambda: subprocess.run(["git", "-C", str(tmp_path), "status", "--porcelain"], check=True)), "the null"
