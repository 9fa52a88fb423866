"""An engine that stops is restarted; the request that stops it is found and recorded, and the others finish.

After a fault, what was in flight is asked again a quarter at a time; each further fault narrows the window to a quarter of
what was in flight then, until a request that stops the engine on its own is known by name. It becomes an `engine_error` with its
cause. If the engine ran out of memory, the window stays at half of what was too much.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from fmtbench.backbone import Backbone
from fmtbench.backends.base import Backend, Session
from fmtbench.errors import EngineFault
from fmtbench.types import Generation, Request

logger = logging.getLogger(__name__)

GIVE_UP = 5
"""After this many requests in a row that each stop the engine on their own, it is the engine that is broken."""


class SupervisedSession(Session):
    """A session that restarts its engine after a fault, so that callers never see a fault that can be survived."""

    def __init__(self, backend: Backend, backbone: Backbone) -> None:
        self._backend, self._backbone = backend, backbone
        self._session: Session | None = backend.open(backbone)

    def prepare(self, requests: Sequence[Request]) -> None:
        self.current.prepare(requests)

    def generate(self, requests: Sequence[Request], at_most: int | None = None) -> Iterator[Generation]:
        """As the engine does, but surviving its faults.

        Raises `EngineFault` if the engine keeps stopping without any request succeeding in between.
        """
        queue = _Queue(requests, at_most)
        while queue.left:
            cause = yield from self._until_fault(queue)
            if cause and queue.left:
                # Outside the handler: the fault's traceback would keep the old engine's memory while the new one starts.
                logger.warning("the engine stopped (%s): starting it again", cause)
                self._restart(cause)

    def facts(self) -> dict[str, Any]:
        return self.current.facts()

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    @property
    def current(self) -> Session:
        """The session of the engine that runs now; another one after a restart."""
        assert self._session is not None, "the session is closed"
        return self._session

    def _restart(self, cause: str) -> None:
        """Raises `EngineFault` where this process cannot start the engine a second time, as after some faults of a GPU."""
        try:
            self.close()
            gc.collect()
            self._session = self._backend.open(self._backbone)
        except (RuntimeError, MemoryError) as error:
            raise EngineFault(
                f"the engine stopped ({cause}) and cannot be started again in this process ({type(error).__name__}: {error}): "
                "what was generated is kept, run the same command to go on; with vLLM, backend.own_process=true survives this"
            ) from error

    def _until_fault(self, queue: _Queue) -> Generator[Generation, None, str]:
        """Pass on what the engine answers; returns why it stopped, or an empty text if it answered everything."""
        try:
            for generation in self.current.generate(*queue.next()):
                if queue.answered(generation):
                    yield generation
            queue.check_all_answered()
        except EngineFault as fault:
            if poison := queue.narrowed(fault):
                logger.warning("request %s stops the engine: %s", poison.key[:12], fault)
                yield poison
            return str(fault)
        return ""


class _Queue:
    """What is still to be asked: first the suspects of the last fault, a few at a time, then the rest."""

    def __init__(self, requests: Sequence[Request], at_most: int | None = None) -> None:
        self.left = {request.key: request for request in requests}
        self._suspects: list[str] = []
        self._narrow: int | None = None
        self._window = at_most
        self._in_a_row = 0
        self._asked: list[Request] = []

    def next(self) -> tuple[list[Request], int | None]:
        """The requests to ask next, and how many at once."""
        self._suspects = [key for key in self._suspects if key in self.left]
        self._asked = [self.left[key] for key in self._suspects] or list(self.left.values())
        return self._asked, self._narrow if self._suspects else self._window

    def answered(self, generation: Generation) -> bool:
        """Whether the generation answers something that is still to be answered."""
        if self.left.pop(generation.key, None) is None:
            logger.warning("the engine gave an answer that nobody waits for (%s): not used", generation.key[:12])
            return False
        self._in_a_row = 0
        return True

    def check_all_answered(self) -> None:
        unanswered = [request.key for request in self._asked if request.key in self.left]
        if unanswered:
            raise EngineFault(f"the engine answered {len(self._asked) - len(unanswered)} of {len(self._asked)}", unanswered)

    def narrowed(self, fault: EngineFault) -> Generation | None:
        """Narrow the search for what stops the engine; returns the record of that request if it is found."""
        flying = [key for key in fault.in_flight if key in self.left] or [one.key for one in self._asked if one.key in self.left]
        if len(flying) > 1:
            self._window = len(flying) // 2 if fault.memory else self._window
            self._suspects = [*flying, *(key for key in self._suspects if key not in flying)]
            self._narrow = max(1, len(flying) // 4)
            return None
        self._in_a_row += 1
        if self._in_a_row > GIVE_UP:
            raise EngineFault(f"{self._in_a_row} requests in a row stop the engine, the last with: {fault}") from fault
        poison = self.left.pop(flying[0])
        return Generation(key=poison.key, text="", finish_reason="error", error=str(fault))
