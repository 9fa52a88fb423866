"""What happens to a contender, and what is counted: kills at random moments, a disk that fills up, concurrent processes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .contenders import Contender
from .server import LONGEST, Trace

RUN_SECONDS = 600.0
"""A command that takes longer is stuck, and is killed."""
STUCK = 124
"""The exit code reported for a stuck command."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one contender in one trial."""

    what: str
    name: str
    kills: int
    executions: int
    items: int
    answered_again: int
    """Items asked again although the server had sent their whole reply."""
    lost: int
    """Items without an answer in the results at the end."""
    duplicated: int
    """Items with more than one answer in the results at the end."""
    codes: tuple[int, ...] = ()
    words: str = ""
    """The last line that the first failed command printed."""

    @property
    def again(self) -> int:
        """Executions beyond one per item."""
        return self.executions - self.items


def moments(kills: int, items: int, seed: int) -> list[tuple[int, float]]:
    """When each launch is killed, the same for every contender: after how many more requests, and how many seconds later."""
    draw = random.Random(seed)
    mean = 0.9 * items / kills
    return [(draw.randint(1, max(1, round(2 * mean) - 1)), draw.uniform(0, LONGEST)) for _ in range(kills)]


def kill_trial(one: Contender, trace: Trace, when: Sequence[tuple[int, float]]) -> Outcome:
    """Kill the whole process group at each of these moments, resume as documented, and let the last launch finish."""
    kills = 0
    for further, wait in when:
        with launched(one) as launch:
            if wait_for(launch.process, trace, trace.executions + further):
                time.sleep(wait)
                kills += launch.process.poll() is None
                trace.deaths += 1
    code, words = finish(one)
    return outcome("kill", one, trace, kills, (code,), words)


def disk_trial(one: Contender, trace: Trace, size_mb: int) -> Outcome:
    """Fill the disk of the results once half of the items were asked; when the command has ended, make room and resume."""
    ballast = one.results / "ballast"
    with launched(one) as launch:
        wait_for(launch.process, trace, one.items // 2)
        fill(ballast)
        code, words = ended(launch)
    ballast.unlink()
    then, _ = finish(one)
    return outcome(f"disk of {size_mb} MB", one, trace, 0, (code, then), words)


def crowd_trial(one: Contender, trace: Trace, processes: int) -> Outcome:
    """Start the same command several times at once."""
    crowd = [start(one) for _ in range(processes)]
    done = [ended(launch) for launch in crowd]
    words = next((words for code, words in done if code), "")
    return outcome(f"{processes} at once", one, trace, 0, tuple(code for code, _ in done), words)


def outcome(what: str, one: Contender, trace: Trace, kills: int, codes: tuple[int, ...], words: str) -> Outcome:
    found = one.found()
    return Outcome(
        what=what,
        name=one.name,
        kills=kills,
        executions=trace.executions,
        items=one.items,
        answered_again=trace.answered_before,
        lost=one.items - len(found),
        duplicated=sum(count > 1 for count in found.values()),
        codes=codes,
        words=words,
    )


# -- processes


class Launch(NamedTuple):
    """A running command, and the file that takes its output."""

    process: subprocess.Popen[bytes]
    log: Path


def start(one: Contender) -> Launch:
    """Start the next command, in its own process group."""
    path = one.place / f"log-{time.monotonic_ns()}"
    with open(path, "wb") as log:
        process = subprocess.Popen(
            one.command(), stdout=log, stderr=log, env=os.environ | one.environment(), cwd=one.folder, start_new_session=True
        )
    return Launch(process, path)


@contextmanager
def launched(one: Contender) -> Iterator[Launch]:
    """Start the next command; it is killed at the end of the block if it is still running."""
    launch = start(one)
    try:
        yield launch
    finally:
        kill(launch.process)


def kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=RUN_SECONDS)


def wait_for(process: subprocess.Popen[bytes], trace: Trace, executions: int) -> bool:
    """Wait until the server has had this many requests; False if the process ends first, or at `RUN_SECONDS`."""
    deadline = time.monotonic() + RUN_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if trace.executions >= executions:
            return True
        time.sleep(0.002)
    return False


def ended(launch: Launch) -> tuple[int, str]:
    """The exit code, and the last line printed if the code is not 0."""
    try:
        code = launch.process.wait(timeout=RUN_SECONDS)
    except subprocess.TimeoutExpired:
        kill(launch.process)
        code = STUCK
    said = launch.log.read_text(errors="replace").splitlines()
    return code, next((line.strip() for line in reversed(said) if line.strip()), "") if code else ""


def finish(one: Contender) -> tuple[int, str]:
    return ended(start(one))


# -- disks


@contextmanager
def small_disk(place: Path, size_mb: int) -> Iterator[None]:
    """Mount a file system of this size. Needs root."""
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "none", str(place)], check=True, timeout=60)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True, timeout=60)


def fill(path: Path) -> None:
    """Write to the file until there is no room for another block."""
    with open(path, "wb", buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(bytes(4096))
