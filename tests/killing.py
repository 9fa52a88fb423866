"""Processes that are killed in the middle. They are forked from one that has imported all they need, so a kill costs no start."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from fmtbench.types import Request

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.test_pipeline", "tests.test_passes", "tests.test_synthesis"])


def slowly(answer: Callable[[Request], str], trace: Path) -> Callable[[Request], str]:
    """`answer` after 20 ms, with a line in `trace` for each request that was really asked."""

    def slow(request: Request) -> str:
        time.sleep(0.02)
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
    process = FORKS.Process(target=target, args=arguments)
    process.start()
    _wait(process, reached)
    process.kill()
    process.join()
    assert process.exitcode in (0, -9)
    return process.exitcode == -9


def _wait(process: BaseProcess, reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while process.is_alive() and not reached():
        assert time.monotonic() < deadline, "nothing was reached"
        time.sleep(0.002)
