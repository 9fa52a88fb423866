"""A small real HTTP server that answers as a test says: for everything a chat endpoint can do wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]


@dataclass
class Answer:
    """A dictionary is sent as JSON; a text as it is."""

    content: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Seen:
    """What the server was asked."""

    url: str
    bodies: list[Body] = field(default_factory=list)
    asks: list[Body] = field(default_factory=list)
    """Of these, what only asks which fields are taken; a server without `quirks` answers it by itself."""
    keys: set[str | None] = field(default_factory=set)
    flying: int = 0
    most: int = 0
    hung_up: threading.Event = field(default_factory=threading.Event)

    def questions(self) -> list[str]:
        return [body["messages"][0]["content"] for body in self.bodies]


MODELS = {"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "tests"}]}
WEB_PAGE = Answer("<!DOCTYPE html><html><body>Welcome</body></html>", headers={"content-type": "text/html"})


def completion(text: str, finish_reason: str = "stop", **choice: Any) -> Answer:
    """A chat completion as OpenAI's reference shows it, without token ids."""
    message = {"role": "assistant", "content": text}
    return Answer(
        {
            "id": "c",
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "finish_reason": finish_reason, **choice}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14},
        }
    )


def only_asks(body: Body) -> bool:
    """Whether a request is there to find out which fields are taken."""
    held = {"response_format", "structured_outputs", "regex", "grammar"} & body.keys()
    return body["messages"][0]["content"] == "Say hello." and not held


def obedient(body: Body) -> Answer:
    """Keeps the probe's schema, and answers everything else alike."""
    asked = json.dumps(body)
    return completion('{"a": "qx"}' if "qx" in asked else "Let me think. The answer is 42.")


@contextmanager
def serving(
    chat: Callable[[Body], Answer] = obedient, models: Callable[[], Answer] = lambda: Answer(MODELS), *, quirks: bool = False
) -> Iterator[Seen]:
    """An endpoint on a free port of this machine; with `quirks` what it takes is for `chat` to say."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65536  # head and body in one packet

        def log_message(self, *words: Any) -> None:
            pass

        def do_GET(self) -> None:
            seen.keys.add(self.headers["authorization"])
            self._send(models() if self.path == "/v1/models" else Answer({"detail": "Not Found"}, 404))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            asks = only_asks(body)
            if asks and not quirks:
                seen.asks.append(body)
                return self._send(completion("Hello."))
            with lock:
                (seen.asks if asks else seen.bodies).append(body)
                seen.keys.add(self.headers["authorization"])
                seen.flying += 1
                seen.most = max(seen.most, seen.flying)
            try:
                answer = chat(body)
            finally:
                with lock:
                    seen.flying -= 1
            return self._send(answer)

        def _send(self, answer: Answer) -> None:
            content = (answer.content if isinstance(answer.content, str) else json.dumps(answer.content)).encode()
            try:
                self.send_response(answer.status)
                for name, value in ({"content-type": "application/json"} | answer.headers).items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                self.wfile.flush()
                if not self.connection.recv(1, 0x2 | 0x40):  # MSG_PEEK | MSG_DONTWAIT: the other side is gone
                    seen.hung_up.set()
            except BlockingIOError:
                pass
            except (BrokenPipeError, ConnectionResetError):
                seen.hung_up.set()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    seen = Seen(f"http://127.0.0.1:{server.server_port}/v1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
