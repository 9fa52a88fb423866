"""Processes that are killed in the middle. They are forked from one that has imported all they need, so a kill costs no start."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from fmtbench.types import Request

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["tests.test_probe_kills", "tests.test_pipeline", "tests.test_passes", "tests.test_synthesis", "tests.commanding"]
)
DELAY_S = 0.02
"""What a scripted reply takes."""


def slowly(answer: Callable[[Request], str], trace: Path) -> Callable[[Request], str]:
    """`answer` after 20 ms, with a line in `trace` for each request that was really asked."""

    def slow(request: Request) -> str:
        time.sleep(DELAY_S)
        with open(trace, "a") as lines:
            lines.write(request.key + "\n")
        return answer(request)

    return slow


def asked(trace: Path) -> list[str]:
    """The keys of the requests in `trace`, in their order."""
    return trace.read_text().split() if trace.exists() else []


def killed_when(reached: Callable[[], bool], target: Callable[..., Any], *arguments: Any) -> bool:
    """Run `target` in a process of its own and send it SIGKILL when `reached`; whether that came before its end.

    `target` is a function of a test module. Fails if it ends with an error, or reaches nothing within a minute.
    """
    with started(target, *arguments) as process:
        _wait(process, reached)
        kill_group(process)
        process.join()
    assert process.exitcode in (0, -9)
    return process.exitcode == -9


@contextmanager
def started(target: Callable[..., Any], *arguments: Any) -> Iterator[BaseProcess]:
    """`target` in a process that leads a group of its own, which is gone afterwards."""
    process = FORKS.Process(target=_leading, args=(target, arguments))
    process.start()
    try:
        yield process
    finally:
        kill_group(process)
        process.join()


def _leading(target: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    os.setpgid(0, 0)
    target(*arguments)


def kill_group(process: BaseProcess) -> None:
    """SIGKILL to a process and all that it started; nothing where it has ended."""
    if process.is_alive() and process.pid:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:  # it does not lead its group yet
            process.kill()


def after(seconds: float) -> Callable[[], bool]:
    """Whether so many seconds have passed since now."""
    until = time.monotonic() + seconds
    return lambda: time.monotonic() >= until


def _wait(process: BaseProcess, reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while process.is_alive() and not reached():
        assert time.monotonic() < deadline, "nothing was reached"
        time.sleep(0.002)
