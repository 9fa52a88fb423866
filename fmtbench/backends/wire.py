"""One answer of a server, read within a limit of bytes: whole, or not at all."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from fmtbench.errors import ServerError

MOST_BYTES = 64 * 2**20
"""More than any reply or list of models has; a body without an end, or one that unfolds from a small one, stops here."""
PLAIN = ("", "identity", "gzip", "deflate")
"""Encodings that unfold at most a thousandfold, so that one piece of a body cannot fill the memory."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Status, headers and body."""

    url: str
    status: int
    reason: str
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """Raises `ValueError` for what is no JSON, or is nested too deeply."""
        try:
            return json.loads(self.content)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error

    @property
    def kind(self) -> str:
        """What the server calls it."""
        return self.headers.get("content-type", "no content type").partition(";")[0]


async def read(client: httpx2.AsyncClient, method: str, url: str, body: Any = None) -> Answer:
    """Ask, and read the whole answer. How long that may take is the caller's business."""
    async with client.stream(method, url, json=body) as response:
        content = bytearray()
        check_encoding(response)
        async for piece in response.aiter_bytes():
            content += piece
            check_size(url, len(content))
        return _answer(response, bytes(content))


def fetch(url: str, headers: Mapping[str, str], seconds: float, method: str = "GET", **sent: Any) -> Answer:
    """A page, within this time from the first byte to the last; `sent` as httpx takes it, such as `json=` or `files=`."""
    started = time.monotonic()
    with httpx2.stream(method, url, headers=dict(headers), timeout=seconds, **sent) as response:
        content = bytearray()
        check_encoding(response)
        for piece in response.iter_bytes():
            content += piece
            check_size(url, len(content))
            if time.monotonic() - started > seconds:
                raise httpx2.ReadTimeout(f"no whole answer in {seconds:g} s")
        return _answer(response, bytes(content))


def check_size(url: str, size: int) -> None:
    if size > MOST_BYTES:
        raise ServerError(f"{url} sends more than {MOST_BYTES >> 20} MB, which no reply has: is it the right address?")


def check_encoding(response: httpx2.Response) -> None:
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in PLAIN:
        raise ServerError(f"{response.url} sends its answer as {encoding[:40]!r}, which was not asked for")


def _answer(response: httpx2.Response, content: bytes) -> Answer:
    return Answer(
        url=str(response.url),
        status=response.status_code,
        reason=response.reason_phrase,
        headers=response.headers,
        content=content,
    )
