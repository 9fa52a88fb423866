"""A model that takes its time and leaves a trace, for runs that are killed in the middle."""

from __future__ import annotations

import time
from collections.abc import Callable

from fmtbench.types import Request


def slowly(answer: Callable[[Request], str], trace: str) -> Callable[[Request], str]:
    """`answer` after 20 ms, with a line in `trace` for each request that was really asked."""

    def slow(request: Request) -> str:
        time.sleep(0.02)
        with open(trace, "a") as lines:
            lines.write(request.key + "\n")
        return answer(request)

    return slow
