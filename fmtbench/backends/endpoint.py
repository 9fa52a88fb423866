"""One OpenAI-compatible endpoint on the wire: what is tried again, and what each failure means, in one line.

Only failures of transport are tried again: no connection, no answer in time, and the status codes of a server that is
busy or starting. A request that the server turns down for its content (400) would be turned down again: that is the
request's own failure (`TurnedDown`). What would fail every request alike (no server, no key, a web page) stops the run
(`ServerError`, or `UserError` where a setting is wrong), so that the journal is not filled with errors that only say that the
server was down.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
from dataclasses import dataclass, replace
from typing import Any

import httpx2

from fmtbench.backends.pacing import Pace, told_to_wait
from fmtbench.backends.wire import Answer, fetch, read
from fmtbench.errors import FmtbenchError, ServerError, UserError

logger = logging.getLogger(__name__)

AGAIN = frozenset({408, 429, 500, 502, 503, 504})
BUSY = frozenset({429, 502, 503, 504})
"""These say nothing about the request: after the last attempt the run stops, to be repeated when the server is free."""
SHORTEST_KEY = 4
"""A shorter one is a placeholder, such as `x`, and occurs in any text."""
MOST_WORDS = 2000
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
NETWORK = (httpx2.TimeoutException, httpx2.NetworkError, httpx2.RemoteProtocolError, httpx2.DecodingError)


class Closed(UserError):
    """A page that does not exist, or not for this key."""


class TurnedDown(FmtbenchError):
    """The server cannot do this one request; the others go on."""

    def __init__(self, cause: str, *, transient: bool = False, param: str = "") -> None:
        super().__init__(cause)
        self.transient = transient
        """Whether it might answer the same request another time."""
        self.param = param
        """The field of the request that the server blames, if it names one."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An address, and how patient to be with it. The key is read from the environment and never stored."""

    url: str
    """Up to and with `/v1`."""
    key_variable: str
    timeout_s: float
    retries: int

    def client(self, connections: int) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            headers=self._headers(),
            timeout=httpx2.Timeout(self.timeout_s, connect=min(30.0, self.timeout_s), pool=None),
            limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
        )

    def get(self, url: str) -> Any:
        """The JSON of a page, asked for once. Raises `UserError` if there is none."""
        try:
            return self._read(fetch(url, self._headers(), min(30.0, self.timeout_s)))
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise UserError(f"no server answers at {self.url} ({self._said(error)}): start it, or set backend.url") from error
        except TurnedDown as error:
            raise UserError(f"{url}: {error}") from error

    def send(self, method: str, url: str, **sent: Any) -> Any:
        """The JSON that a page answers with, asked for once. Raises what `ask` does, and httpx's errors of transport."""
        return self._read(fetch(url, self._headers(), self.timeout_s, method, **sent))

    def lines(self, url: str) -> list[bytes]:
        """The lines of a file."""
        answer = fetch(url, self._headers(), self.timeout_s)
        self._check(answer)
        return self._without_key(answer.content).splitlines()

    async def ask(self, client: httpx2.AsyncClient, body: dict[str, Any], spread: float, pace: Pace | None = None) -> Any:
        """The JSON of a reply. `spread`, between 0 and 1, keeps requests that failed together from returning together.

        `pace` is shared by all that are in flight. To wait for a rate limit is no failure as long as others are answered.
        """
        pace = pace or Pace(self.url, 1)
        attempt, answered = 0, pace.answered
        while True:
            fault, status, wait = "", 0, min(LONGEST_WAIT, FIRST_WAIT * 2**attempt) * (0.5 + spread)
            try:
                async with (
                    pace.turn(),
                    asyncio.timeout(self.timeout_s),
                ):  # for the whole reply: a byte now and then is no progress
                    answer = await read(client, "POST", f"{self.url}/chat/completions", body)
            except TimeoutError:
                fault = f"ReadTimeout: no whole reply in {self.timeout_s:g} s"
            except NETWORK as error:
                fault = self._said(error)
            except httpx2.TransportError as error:
                raise UserError(f"cannot speak to {self.url} ({self._said(error)}): check backend.url and the proxy") from error
            else:
                status = answer.status
                if status not in AGAIN:
                    pace.taken(answer.headers, body)
                    return self._read(answer)
                fault, told = self._complaint(answer), told_to_wait(answer.headers, body)
                if told:
                    pace.limited(told, fault)
                    attempt, answered, wait = (attempt if answered == pace.answered else -1), pace.answered, 0.0
            attempt += 1
            if attempt > self.retries:
                raise await self._given_up(client, status, f"{fault}, {self.retries + 1} times")
            if wait:
                logger.info("%s: %s; asked again in %.0f s", self.url, fault, wait)
                await asyncio.sleep(min(wait, self.timeout_s))

    async def _given_up(self, client: httpx2.AsyncClient, status: int, fault: str) -> FmtbenchError:
        """Whose failure it was: the request's, if the server still lists its models."""
        if status not in BUSY:
            try:
                async with asyncio.timeout(min(30.0, self.timeout_s)):
                    self._read(await read(client, "GET", f"{self.url}/models"))
                return TurnedDown(fault, transient=True)
            except (*NETWORK, TimeoutError, FmtbenchError) as error:
                logger.info("%s/models: %s", self.url, self._said(error))
        return ServerError(f"{self.url} fails ({fault}): what was generated is kept; repeat the command when it is up again")

    def _check(self, answer: Answer) -> None:
        """Raises for any status but 200."""
        status, complaint = answer.status, self._complaint(answer)
        if status in (401, 403):
            raise Closed(f"{self.url} does not accept the key ({complaint}): {self._key_advice()}")
        if status == 404:
            raise Closed(f"{answer.url} is not there ({complaint}): is backend.url right? It usually ends in /v1")
        if 400 <= status < 500:
            raise TurnedDown(complaint, param=_param(answer))
        if status != 200:
            raise ServerError(f"{self.url} fails ({complaint})")

    def _read(self, answer: Answer) -> Any:
        self._check(answer)
        try:
            return replace(answer, content=self._without_key(answer.content)).json()
        except ValueError as error:
            what = f"JSON {error}" if "deeply" in str(error) else f"{answer.kind}, not JSON"
            raise UserError(
                f"{answer.url} answers {what}: backend.url must be an OpenAI-compatible API, usually ending in /v1"
            ) from error

    def _without_key(self, content: bytes) -> bytes:
        """Some servers echo what they are sent, and what they send is stored."""
        key = self._key().encode()
        return content.replace(key, b"***") if len(key) >= SHORTEST_KEY else content

    def _headers(self) -> dict[str, str]:
        key = self._key()
        if not re.fullmatch(r"[\x21-\x7e]*", key):
            raise UserError(f"the key in ${self.key_variable} holds blanks or characters that no key has: set it again")
        return {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {key}"} if key else {})

    def _key(self) -> str:
        return os.environ.get(self.key_variable, "").strip()

    def _key_advice(self) -> str:
        return f"{'check' if self._key() else 'put your key into'} the environment variable {self.key_variable}"

    def _complaint(self, answer: Answer) -> str:
        """The status and the server's own words, on one line."""
        return f"{answer.status} {self._said(_words(answer) or answer.reason)}".strip()

    def _said(self, words: object) -> str:
        """On one line, without the key, which some servers echo."""
        shown = "".join(one if one.isprintable() else " " for one in str(words))  # no escape reaches a terminal
        text = " ".join(shown.split()) or type(words).__name__
        return (text.replace(self._key(), "***") if self._key() else text)[:300]


def _words(answer: Answer) -> str:
    """The message in an error's JSON; a web page has none."""
    if answer.status == 200:
        return ""
    try:
        node: Any = answer.json()
    except ValueError:
        return "a web page" if "html" in answer.kind else answer.content[:MOST_WORDS].decode("utf-8", "replace")
    node = node[0] if isinstance(node, list) and len(node) == 1 else node  # as Gemini has it
    for name in ("error", "message", "detail"):
        node = node.get(name, node) if isinstance(node, dict) else node
    return node if isinstance(node, str) else json.dumps(node, ensure_ascii=False)


def _param(answer: Answer) -> str:
    """The field that an error's JSON names: OpenAI's `param`, or the last part of the first `loc` of a schema's complaint."""
    try:
        node: Any = answer.json()
        node = node[0] if isinstance(node, list) else node
        if isinstance(detail := node.get("detail"), list):
            return str(detail[0]["loc"][-1])
        return str(node["error"]["param"] or "")
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""
