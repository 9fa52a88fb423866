"""Batch endpoints: the requests of a job as files, answered within a day for half the price.

A run that is killed while it waits can be run again, even days later: it asks for the batches that it handed in. Which fields
the model takes and whether its constraints bind is found out with single requests, as `server` does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import httpx2
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.backbone import Backbone
from fmtbench.backends.batch_api import ENDED, BatchLine, HandedIn, State, outcomes, records, state, submit
from fmtbench.backends.endpoint import AGAIN, TurnedDown
from fmtbench.backends.proof import PROBE
from fmtbench.backends.served_thoughts import probe_of
from fmtbench.backends.server import Server, ServerSession
from fmtbench.backends.special import USUAL, neutral
from fmtbench.backends.verdict import believed
from fmtbench.errors import ServerError, UserError
from fmtbench.types import Generation, Request

logger = logging.getLogger(__name__)

MOST_REQUESTS = 5000
"""The most requests of one batch."""
MOST_TOKENS = 6_000_000
"""The most tokens of one batch's replies, so that their file can be read at once."""


@dataclass(kw_only=True, config=ConfigDict(extra="forbid"))
class Batch(Server):
    """Options of a batch endpoint. Its requests have the keys of `server`, so that either continues where the other ended."""

    dialect: Literal["openai"] = "openai"
    token_ends: bool = False
    """Logprobs would make the file of replies thirty times as large."""
    poll_s: float = Field(default=60, gt=0, allow_inf_nan=False)
    """Seconds between two looks at a batch."""
    window: str = "24h"
    """The time within which the server is to answer; OpenAI allows only 24h."""

    def open(self, backbone: Backbone) -> BatchSession:
        return BatchSession(self, self._facts(backbone), probe_of(backbone))


class BatchSession(ServerSession):
    """Batches of requests to one model."""

    _options: Batch

    def generate(self, requests: Sequence[Request], at_most: int | None = None) -> Iterator[Generation]:
        """As for a server, but a whole batch at once. Raises `ServerError` if a batch fails as a whole."""
        if any(request.messages is PROBE.messages for request in requests):
            yield from super().generate(requests, at_most)
            return
        self._make_ready(requests)
        yield from believed(self._batched(requests), self._options.url)

    def _batched(self, requests: Sequence[Request]) -> Iterator[Generation]:
        wanted = {request.key: request for request in requests}
        waiting = records(self._options.url, wanted)
        new = [request for key, request in wanted.items() if not any(key in one.keys for one in waiting)]
        if waiting:
            logger.info("%d batches that were handed in before hold %d of the requests", len(waiting), len(wanted) - len(new))
        waiting += [self._hand_in(chunk) for chunk in _chunks(new)]
        for record in waiting:
            yield from self._collected(record, wanted)

    def _hand_in(self, requests: Sequence[Request]) -> HandedIn:
        bodies = {one.key: self._body(neutral(one.messages, USUAL)[0], one, self._fields) for one in requests}
        try:
            record = submit(self._options.endpoint, bodies, self._options.window)
        except TurnedDown as error:
            raise UserError(f"{self._options.url} takes no such batch ({error}): is it backend=server?") from error
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise ServerError(f"{self._options.url} fails ({error}): repeat the command when it is up again") from error
        logger.info("batch %s holds %d requests; the run may be stopped, and goes on by the same command", record.id, len(bodies))
        return record

    def _collected(self, record: HandedIn, wanted: dict[str, Request]) -> Iterator[Generation]:
        """The generations of a batch as soon as it has ended, less those that nobody wants any more."""
        ended = self._ended(record)
        if ended.status == "failed":
            record.forget()
            raise ServerError(f"batch {record.id} at {record.url} failed as a whole: {ended.why}")
        left = {key: wanted[key] for key in record.keys if key in wanted}
        for line in outcomes(self._options.endpoint, ended):
            if request := left.pop(line.custom_id, None):
                yield self._outcome(request, line)
        for request in left.values():
            yield self._not_taken(request, f"ended batch {record.id} ({ended.status}) without an answer to it", 0.0)
        record.forget()

    def _ended(self, record: HandedIn) -> State:
        """The batch once it has ended. Raises `ServerError` if the server no longer knows it."""
        failures = 0
        while True:
            try:
                found = state(self._options.endpoint, record.id)
                failures = 0
                if found.status in ENDED:
                    return found
                self._say(found)
            except (httpx2.TransportError, httpx2.DecodingError, ServerError, TurnedDown) as error:
                failures += 1
                if failures > self._options.retries:
                    raise ServerError(
                        f"{record.url} tells nothing of batch {record.id} ({error}): it goes on there; repeat the command later"
                    ) from error
            except UserError as error:  # such as a rejected key: what was handed in is not given up
                raise UserError(f"{error}; to hand the requests of batch {record.id} in again delete {record.path}") from error
            time.sleep(self._options.poll_s)

    def _say(self, found: State) -> None:
        counts = found.request_counts
        done = f"{counts.completed + counts.failed} of {counts.total} answered" if counts else "not counted"
        then = (datetime.now().astimezone() + timedelta(seconds=self._options.poll_s)).strftime("%H:%M:%S")
        logger.info("batch %s: %s, %s; looked at again at %s", found.id, found.status, done, then)

    def _outcome(self, request: Request, line: BatchLine) -> Generation:
        neutralised = neutral(request.messages, USUAL)[1]
        if line.response is not None and line.response.status_code == 200:
            return self._read(request, line.response.body, 0.0, neutralised)
        status = line.response.status_code if line.response else 0
        said = _complaint(line.response.body if line.response else None) or (line.error and line.error.message) or "no reason"
        words = f"{status or 'error'} {' '.join(str(said).split())[:300]}"
        transient = status in AGAIN or not status
        return Generation(
            key=request.key, text="", finish_reason="error", error=words, transient=transient, neutralised=neutralised
        )

    def facts(self) -> dict[str, Any]:
        return super().facts() | {"batch": self._options.window}


def _chunks(requests: Sequence[Request]) -> Iterator[Sequence[Request]]:
    """The parts that make one batch each."""
    most = max(1, min(MOST_REQUESTS, MOST_TOKENS // max((one.max_tokens for one in requests), default=1)))
    for start in range(0, len(requests), most):
        yield requests[start : start + most]


def _complaint(body: Any) -> str:
    node = body.get("error", body) if isinstance(body, dict) else body
    return str(node.get("message") or "") if isinstance(node, dict) else str(node or "")
