"""When an engine's failures are no longer believed: a dead server answers every request, with an error.

A transient error says nothing about its request, so it is no result: the next run asks again. Where such errors come one after
the other, or are most of what comes, the run stops, so that a table of zeros is never made of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from fmtbench.errors import ServerError
from fmtbench.types import Generation

IN_A_ROW = 10
WINDOW, SHARE = 100, 0.5
"""More than this share of the last so many replies stops the run, too."""


def fused(stream: Iterable[Generation]) -> Iterator[Generation]:
    """Pass every generation on. Raises `ServerError` after the one that is too much."""
    last: deque[bool] = deque(maxlen=WINDOW)
    row = 0
    for generation in stream:
        yield generation
        last.append(generation.transient)
        row = row + 1 if generation.transient else 0
        if row == IN_A_ROW or (len(last) == WINDOW and sum(last) > SHARE * WINDOW):
            count = f"the last {row} replies" if row == IN_A_ROW else f"{sum(last)} of the last {WINDOW} replies"
            raise ServerError(
                f"{count} failed in a way that says nothing about the request, the last by: {generation.error}; "
                "what was generated is kept: repeat the command when the server is well"
            )
