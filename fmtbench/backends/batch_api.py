"""OpenAI's batch protocol: a file of requests goes up, the batch is looked at now and then, a file of replies comes down.

    POST /files    purpose=batch, a line a request {"custom_id", "method", "url", "body"}
    POST /batches  {"input_file_id", "endpoint", "completion_window", "metadata"}
    GET  /batches/ID  ->  {"status", "request_counts", "output_file_id", "error_file_id"}

Which batch holds which requests is written down in the cache folder, so that days later no request is paid for twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from fmtbench.backbone import cache_folder
from fmtbench.backends.endpoint import Endpoint
from fmtbench.errors import ServerError
from fmtbench.store.files import write_text

PATH = "/v1/chat/completions"
ENDED = ("completed", "failed", "expired", "cancelled")


class Counts(BaseModel):
    total: int = 0
    completed: int = 0
    failed: int = 0


class Complaint(BaseModel):
    message: str | None = None


class Complaints(BaseModel):
    data: list[Complaint] = Field(default_factory=list)


class State(BaseModel):
    """A batch, as the server describes it."""

    id: str
    status: Literal["validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"]
    output_file_id: str | None = None
    error_file_id: str | None = None
    request_counts: Counts | None = None
    errors: Complaints | None = None
    metadata: dict[str, Any] | None = None

    @property
    def why(self) -> str:
        """Why it failed."""
        said = (one.message for one in (self.errors or Complaints()).data if one.message)
        return " ".join(next(said, "it does not say why").split())[:300]


class Response(BaseModel):
    status_code: int = 0
    body: Any = None


class BatchLine(BaseModel):
    """What became of one request."""

    custom_id: str
    response: Response | None = None
    error: Complaint | None = None


@dataclass(frozen=True, kw_only=True)
class HandedIn:
    """A batch that was handed in: its address, its id, and the keys of its requests."""

    url: str
    id: str
    keys: tuple[str, ...]

    @property
    def path(self) -> Path:
        return records_folder() / f"{hashlib.sha256(f'{self.url} {self.id}'.encode()).hexdigest()[:32]}.json"

    def write(self) -> None:
        records_folder().mkdir(parents=True, exist_ok=True)
        write_text(self.path, json.dumps({"url": self.url, "id": self.id, "keys": self.keys}) + "\n")

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)


def records_folder() -> Path:
    return cache_folder() / "batches"


def records(url: str, wanted: Collection[str]) -> list[HandedIn]:
    """The batches at this address that hold any of these requests. Unreadable records are not ours."""
    found = []
    for path in sorted(records_folder().glob("*.json")):
        try:
            told = json.loads(path.read_bytes())
            record = HandedIn(url=told["url"], id=told["id"], keys=tuple(told["keys"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if record.url == url and not set(record.keys).isdisjoint(wanted):
            found.append(record)
    return found


def submit(endpoint: Endpoint, bodies: dict[str, dict[str, Any]], window: str) -> HandedIn:
    """Hand in requests, by key; one that was handed in before a kill, and not written down, is found by its digest."""
    digest = hashlib.sha256(" ".join(sorted(bodies)).encode()).hexdigest()[:32]
    there = _handed_in(endpoint, digest)
    if there is None:
        lines = (json.dumps({"custom_id": key, "method": "POST", "url": PATH, "body": body}) for key, body in bodies.items())
        file = ("fmtbench.jsonl", "".join(f"{line}\n" for line in lines).encode(), "application/jsonl")
        sent = _as_file(endpoint.send("POST", f"{endpoint.url}/files", files={"file": file}, data={"purpose": "batch"}))
        wanted = {"input_file_id": sent, "endpoint": PATH, "completion_window": window, "metadata": {"fmtbench": digest}}
        there = _as_state(endpoint, endpoint.send("POST", f"{endpoint.url}/batches", json=wanted))
    record = HandedIn(url=endpoint.url, id=there.id, keys=tuple(bodies))
    record.write()
    return record


def state(endpoint: Endpoint, batch: str) -> State:
    return _as_state(endpoint, endpoint.send("GET", f"{endpoint.url}/batches/{batch}"))


def outcomes(endpoint: Endpoint, ended: State) -> Iterator[BatchLine]:
    """What became of its requests, including failed ones; malformed lines are skipped."""
    for file in filter(None, (ended.output_file_id, ended.error_file_id)):
        for line in endpoint.lines(f"{endpoint.url}/files/{file}/content"):
            try:
                yield BatchLine.model_validate_json(line)
            except ValidationError:
                continue


def _handed_in(endpoint: Endpoint, digest: str) -> State | None:
    listed = endpoint.send("GET", f"{endpoint.url}/batches?limit=100")
    for entry in listed.get("data") or () if isinstance(listed, dict) else ():
        try:
            one = State.model_validate(entry)
        except ValidationError:
            continue
        if (one.metadata or {}).get("fmtbench") == digest and one.status not in ("failed", "expired", "cancelled", "cancelling"):
            return one
    return None


def _as_file(told: Any) -> str:
    if not isinstance(told, dict) or not isinstance(told.get("id"), str):
        raise ServerError("the server took a file and gave it no id: does it speak OpenAI's batch protocol?")
    return str(told["id"])


def _as_state(endpoint: Endpoint, told: Any) -> State:
    try:
        return State.model_validate(told)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise ServerError(f"{endpoint.url} does not speak OpenAI's batch protocol ({where}: {problem['msg']})") from error
