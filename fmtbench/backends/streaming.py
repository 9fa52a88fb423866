"""From an asynchronous producer to a plain iterator, and a clock for work that overlaps."""

from __future__ import annotations

import atexit
import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from queue import Empty, SimpleQueue
from typing import TypeVar

from anyio.from_thread import start_blocking_portal

T = TypeVar("T")
Put = Callable[[T], None]
WAIT_SECONDS = 0.2


def streamed(produce: Callable[[Put[T]], Awaitable[None]]) -> Iterator[T]:
    """Yield what `produce` puts, as it puts it; raise what it raises.

    The event loop has a thread of its own, so that this works inside a notebook's loop as well, and the network goes on
    while the caller writes a journal. Closing the iterator early, or an interrupt, cancels the producer and waits for its end.
    One that is still open when the interpreter exits, as in the traceback of an error that nobody caught, is closed while the
    thread still runs: afterwards it would be waited for without end.
    """
    stream = _streamed(produce)
    atexit.register(stream.close)
    try:
        yield from stream
    finally:
        atexit.unregister(stream.close)


def _streamed(produce: Callable[[Put[T]], Awaitable[None]]) -> Generator[T, None, None]:
    results: SimpleQueue[tuple[T] | None] = SimpleQueue()
    with start_blocking_portal() as portal:
        production = portal.start_task_soon(produce, lambda result: results.put((result,)))
        production.add_done_callback(lambda _: results.put(None))
        while (one := next_of(results)) is not None:
            yield one[0]
        production.result()


def next_of(results: SimpleQueue[T]) -> T:
    """The next result. The wait is cut into pieces, because a signal that another thread takes does not end it."""
    while True:
        try:
            return results.get(timeout=WAIT_SECONDS)
        except Empty:
            continue


class SharedClock:
    """Divides time among whatever is in flight, so that the shares sum to the wall time."""

    def __init__(self) -> None:
        self._flying = 0
        self._share = 0.0
        self._last = time.perf_counter()

    def enter(self) -> float:
        """Returns what to hand to `leave`."""
        self._advance()
        self._flying += 1
        return self._share

    def leave(self, entered: float) -> float:
        """The seconds of one that entered."""
        self._advance()
        self._flying -= 1
        return self._share - entered

    def _advance(self) -> None:
        now = time.perf_counter()
        self._share += (now - self._last) / max(1, self._flying)
        self._last = now
