"""vLLM in processes of its own, one for each copy of the model, stepped like an engine in this process.

`LLM` in process holds one copy; only vLLM's asynchronous engine balances requests over several. This wraps it in the three
calls of a stepped engine, so that everything above is the same code. Waiting for a step is waiting for a queue, which a
time limit can always interrupt.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from concurrent.futures import Future
from typing import Any

from fmtbench.backends.streaming import next_of
from fmtbench.backends.vllm.internals import asynchronous
from fmtbench.errors import EngineFault


class EngineApart:
    """`add_request`, `step` and `shutdown`, as of vLLM's `LLMEngine`, over an `AsyncLLM`."""

    def __init__(self, **arguments: Any) -> None:
        self._finished: queue.SimpleQueue[tuple[str, Future[Any]]] = queue.SimpleQueue()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="vllm", daemon=True)
        self._thread.start()

        async def start() -> Any:
            return asynchronous(**arguments)

        self._engine = self._call(start()).result()
        self.model_config = self._engine.model_config

    def _call(self, coroutine: Any) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def add_request(self, key: str, prompt: Any, parameters: Any) -> None:
        """Hand a request over; a later `step` returns its output."""
        answer = self._call(self._answer(key, prompt, parameters))
        answer.add_done_callback(lambda done: self._finished.put((key, done)))

    async def _answer(self, key: str, prompt: Any, parameters: Any) -> Any:
        """The last output of a request, which contains all of it."""
        outputs = [output async for output in self._engine.generate(prompt, parameters, request_id=key)]
        return outputs[-1]

    def step(self) -> list[Any]:
        """Wait for at least one output, and take all that are there.

        Raises what the engine raised, and `EngineFault` naming a request that it turned down.
        """
        finished = [next_of(self._finished)]
        while not self._finished.empty():
            finished.append(self._finished.get())
        return [_output(key, done) for key, done in finished]

    def shutdown(self) -> None:
        """End the processes and the thread."""

        async def stop() -> None:
            self._engine.shutdown()

        self._call(stop()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _output(key: str, done: Future[Any]) -> Any:
    try:
        return done.result()
    except ValueError as error:  # what vLLM raises for a request that it cannot serve
        raise EngineFault(f"vLLM turned the request down: {error}", [key]) from error
