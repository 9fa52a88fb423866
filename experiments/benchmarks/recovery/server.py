"""The chat endpoint that all contenders query: it answers after a delay, and keeps the only record of what was asked.

{"id": "c", "choices": [{"message": {"role": "assistant", "content": "The answer is 42."}, ...}], ...}
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "mock"
SHORTEST, LONGEST = 0.1, 0.3
"""The range of seconds that a reply takes; the question decides where in it."""
PROBES = ("Say hello.",)
"""What fmtbench asks at each start to see whether constraints bind; not counted as an item."""


@dataclass
class Trace:
    """What a server was asked, and which replies it sent to the last byte."""

    url: str = ""
    asked: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    answered_before: int = 0
    """Questions that were asked again although a whole reply to them had been sent."""
    deaths: int = 0
    """Kills so far. A reply to a process killed in the meantime can still be sent without an error, and reaches nobody."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def executions(self) -> int:
        return self.asked.total()

    def begin(self, question: str) -> int:
        """Record that a question arrived; returns the number of kills so far."""
        with self.lock:
            self.answered_before += self.answered[question] > 0
            self.asked[question] += 1
            return self.deaths

    def end(self, question: str, deaths: int) -> None:
        with self.lock:
            self.answered[question] += self.deaths == deaths


def delay(question: str) -> float:
    share = int.from_bytes(hashlib.sha256(question.encode()).digest()[:4], "big") / 2**32
    return SHORTEST + share * (LONGEST - SHORTEST)


@contextmanager
def serving() -> Iterator[Trace]:
    """An endpoint on a free port of this machine."""
    trace = Trace()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65536

        def log_message(self, *words: Any) -> None:
            pass

        def do_GET(self) -> None:
            models = {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "mock"}]}
            self._send(models if self.path == "/v1/models" else {}, 200 if self.path == "/v1/models" else 404)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            question = str(body["messages"][-1]["content"])
            if question in PROBES:
                return self._send(completion('{"a": "qx"}'))
            deaths = trace.begin(question)
            time.sleep(delay(question))
            with suppress(ConnectionError):  # the process that asked was killed
                self._send(completion("Let me think. The answer is 42."))
                trace.end(question, deaths)

        def _send(self, content: dict[str, Any], status: int = 200) -> None:
            sent = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)
            self.wfile.flush()

        def handle(self) -> None:
            with suppress(ConnectionError):
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    trace.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield trace
    finally:
        server.shutdown()
        server.server_close()


def completion(text: str) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}
    return {"id": "c", "object": "chat.completion", "created": 0, "model": MODEL, "choices": [choice], "usage": usage}
