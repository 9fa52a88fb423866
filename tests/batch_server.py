"""A small real server that speaks OpenAI's batch protocol, and answers single requests as well."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.http_server import MODELS, Answer, Body, obedient

Json = dict[str, Any]


@dataclass
class BatchServer:
    """Files, batches, and how the next look at a batch ends."""

    url: str = ""
    chat: Callable[[Body], Answer] = obedient
    looks: int = 0
    """How often a batch is looked at before it has ended."""
    ends: str = "completed"
    answered: int | None = None
    """Only so many of a batch's requests are answered; None answers all."""
    down: int = 0
    """So many looks fail."""
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, Json] = field(default_factory=dict)
    single: list[Body] = field(default_factory=list)
    purposes: list[str] = field(default_factory=list)

    def upload(self, body: bytes) -> Json:
        """Of a multipart form, the file and its purpose."""
        found = re.search(rb'name="file"; filename="[^"]+"\r\n(?:[^\r]+\r\n)*\r\n(.*?)\r\n--', body, re.S)
        purpose = re.search(rb'name="purpose"\r\n\r\n(\w+)', body)
        assert found
        assert purpose
        self.purposes.append(purpose[1].decode())
        name = f"file-{len(self.files)}"
        self.files[name] = found[1]
        return {"id": name}

    def create(self, wanted: Json) -> Json:
        name = f"batch_{len(self.batches)}"
        self.batches[name] = {"id": name, "status": "in_progress", "looks": self.looks, **wanted}
        return self.batches[name]

    def look(self, name: str) -> Answer:
        if self.down:
            self.down -= 1
            return Answer("", 503)
        if name not in self.batches:
            return Answer({"error": {"message": "No batch found"}}, 404)
        batch = self.batches[name]
        if batch["looks"]:
            batch["looks"] -= 1
        elif batch["status"] == "in_progress":
            self._end(batch)
        return Answer(batch)

    def _end(self, batch: Json) -> None:
        batch["status"] = self.ends
        if self.ends == "failed":
            batch["errors"] = {"data": [{"message": "line 1: no such model"}]}
            return
        lines = [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]
        kinds: dict[str, list[Json]] = {"output_file_id": [], "error_file_id": []}
        for line in reversed(lines[: self.answered]):  # in another order than they were handed in
            answer = self.chat(line["body"])
            response = {"status_code": answer.status, "body": answer.content}
            kind = "output_file_id" if answer.status == 200 else "error_file_id"
            kinds[kind].append({"custom_id": line["custom_id"], "response": response, "error": None})
        for kind, found in kinds.items():
            if found:
                batch[kind] = f"file-{len(self.files)}"
                self.files[batch[kind]] = "".join(json.dumps(one) + "\n" for one in found).encode()

    def get(self, path: str) -> Answer:
        parts = path.partition("?")[0].removeprefix("/v1/").split("/")
        if parts == ["models"]:
            return Answer(MODELS)
        if parts == ["batches"]:
            return Answer({"data": list(self.batches.values())})
        if parts[0] == "batches":
            return self.look(parts[1])
        if parts[0] == "files" and parts[1] in self.files:
            return Answer(self.files[parts[1]].decode())
        return Answer({"error": {"message": "nothing here"}}, 404)

    def post(self, path: str, body: bytes) -> Answer:
        if path == "/v1/files":
            return Answer(self.upload(body))
        if path == "/v1/batches":
            return Answer(self.create(json.loads(body)))
        self.single.append(json.loads(body))
        return self.chat(self.single[-1])


@contextmanager
def batching(server: BatchServer) -> Iterator[BatchServer]:
    """The server on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *words: Any) -> None:
            pass

        def do_GET(self) -> None:
            self._send(server.get(self.path))

        def do_POST(self) -> None:
            self._send(server.post(self.path, self.rfile.read(int(self.headers["content-length"]))))

        def _send(self, answer: Answer) -> None:
            content = (answer.content if isinstance(answer.content, str) else json.dumps(answer.content)).encode()
            self.send_response(answer.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_port}/v1"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
