"""How long something may take on a machine that is slow, or has other work: as much longer as a yardstick takes beside it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

YARDSTICK_S = 0.006
"""What the yardstick takes on a quiet core of 2024."""
TRIES = 4
"""A garbage collection, or a neighbour that comes and goes, is no reader."""


def within(limit_s: float, call: Callable[..., Any], *arguments: Any) -> bool:
    """Whether a call takes at most so much processor time, in seconds of a quiet core."""
    return any(_seconds(call, *arguments) < limit_s * max(1.0, _seconds(yardstick) / YARDSTICK_S) for _ in range(TRIES))


def yardstick() -> int:
    """Work like that of a reader: a pattern over a text, and a loop over what it finds."""
    return sum(len(word) for match in re.finditer(r"[a-z]+(?= |$)", "word and more " * 5_000) if (word := match[0].strip("-")))


def _seconds(call: Callable[..., Any], *arguments: Any) -> float:
    started = time.process_time()
    call(*arguments)
    return time.process_time() - started
