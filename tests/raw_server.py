"""A server that writes bytes to the socket as a test says: for everything that a well-made one never does."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.http_server import MODELS

Send = Callable[[bytes], None]
Mode = Callable[[Send], None]
"""Writes a whole answer, head and all."""
PROBE = '{"a": "qx"}'


@dataclass
class Heard:
    """Where it listens, and the first line and headers of each request."""

    url: str
    requests: list[str] = field(default_factory=list)


def whole(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = (
        f"HTTP/1.1 {status}",
        "content-type: application/json",
        "connection: close",
        f"content-length: {len(body)}",
        *headers,
        "",
        "",
    )
    return "\r\n".join(lines).encode() + body


def reply(text: str, **fields: object) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return json.dumps({"choices": [choice], **fields}).encode()


@contextmanager
def raw(chat: Mode, models: Mode | None = None, *, probe: bool = True) -> Iterator[Heard]:
    """`chat` answers every completion but, with `probe`, the one that asks for a constraint; `models` the list."""
    listener = socket.create_server(("127.0.0.1", 0))
    heard = Heard(f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
    listed = models or (lambda send: send(whole(json.dumps(MODELS).encode())))

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            head, body = _request(connection)
            heard.requests.append(head)
            if head.startswith("GET"):
                listed(connection.sendall)
            elif probe and b"response_format" in body:
                connection.sendall(whole(reply(PROBE)))
            else:
                chat(connection.sendall)

    def listen() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield heard
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _request(connection: socket.socket) -> tuple[str, bytes]:
    """Head and body of the one request that a connection has."""
    got = b""
    while b"\r\n\r\n" not in got and (piece := connection.recv(65536)):
        got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0)
    while len(body) < length and (piece := connection.recv(65536)):
        body += piece
    return head.decode(), body
