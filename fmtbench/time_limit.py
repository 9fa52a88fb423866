"""A bound on how long a call may take: for engines that can get stuck, and for users' patterns that backtrack."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def time_limit(seconds: float, *, of_processor: bool = False) -> Iterator[None]:
    """Raise `TimeoutError` inside the block once it has taken this long, or so much of the processor: what computes without end
    is then told from a process that waits for its turn.

    It uses an alarm signal, which Python handles between two of its own instructions: a call that never leaves compiled
    code is not interrupted. Signals only arrive in the main thread; in any other there is no bound.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    clock, alarm = (signal.ITIMER_VIRTUAL, signal.SIGVTALRM) if of_processor else (signal.ITIMER_REAL, signal.SIGALRM)
    previous = signal.signal(alarm, _raise)
    signal.setitimer(clock, seconds)
    try:
        yield
    finally:
        signal.setitimer(clock, 0)
        signal.signal(alarm, previous)


def _raise(number: int, frame: FrameType | None) -> None:
    raise TimeoutError
