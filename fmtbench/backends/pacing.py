"""Rate limits: when a server says wait, every request to it waits, and one line says until when.

    429  retry-after: 20                                   seconds, or an HTTP date (RFC 9110, section 10.2.3)
    200  x-ratelimit-remaining-tokens: 120  x-ratelimit-reset-tokens: 6m0s  x-ratelimit-limit-tokens: 30000

After a limit was hit half as many requests may be in flight, and one more after each round of answers: the rule by which TCP
shares a line (Chiu and Jain 1989).
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from fmtbench.errors import ServerError

logger = logging.getLogger(__name__)

LONGEST_LIMIT = 3600.0
"""Seconds; a longer limit, such as a daily one, ends the run, which can be repeated later."""
SHORTEST_SAID = 1.0
"""Seconds; shorter waits are not announced."""
CHARACTERS = 4
"""Characters per prompt token, roughly; providers count no better when they admit a request."""


class Pace:
    """What all requests in flight to one server share."""

    def __init__(self, url: str, most: int) -> None:
        self._url, self._most, self._allowed = url, most, float(most)
        self._until, self._flying, self._freed = 0.0, 0, asyncio.Event()
        self.answered = 0
        """The number of requests that got an answer."""

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until no limit applies and there is room, and hold it."""
        await self._admitted()
        self._flying += 1
        try:
            yield
        finally:
            self._flying -= 1
            self._freed.set()

    async def _admitted(self) -> None:
        while True:
            if (wait := self._until - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            elif self._flying < max(1, int(self._allowed)):
                return
            else:
                self._freed.clear()
                await self._freed.wait()

    def taken(self, headers: Mapping[str, str], body: Mapping[str, Any]) -> None:
        """After an answer: hold the next requests back where what remains of a limit is less than one like this needs."""
        self.answered += 1
        self._allowed = min(self._most, self._allowed + 1 / self._allowed)
        for what, need in (("tokens", needed_tokens(body)), ("requests", 1)):
            if wait := until_refilled(headers, what, need):
                self._hold(min(wait, LONGEST_LIMIT), f"{what} a minute are used up")

    def limited(self, seconds: float, complaint: str) -> None:
        """After a 429 or 503 that says how long to wait. Raises `ServerError` where that is too long."""
        if seconds > LONGEST_LIMIT:
            raise ServerError(
                f"{self._url} fails ({complaint}) until {_clock(seconds)}: what was generated is kept; repeat the command then"
            )
        if time.monotonic() >= self._until:  # once for all that were in flight
            self._allowed = max(1.0, self._allowed / 2)
        self._hold(seconds, complaint)

    def _hold(self, seconds: float, cause: str) -> None:
        new = time.monotonic() + seconds
        if new - max(self._until, time.monotonic()) > SHORTEST_SAID:
            logger.info("%s: rate limit (%s): waiting until %s (%.0f s)", self._url, cause, _clock(seconds), seconds)
        self._until = max(self._until, new)


def told_to_wait(headers: Mapping[str, str], body: Mapping[str, Any]) -> float:
    """The seconds that an answer asks to wait; 0 if it does not say."""
    refills = (until_refilled(headers, what, need) for what, need in (("tokens", needed_tokens(body)), ("requests", 1)))
    return retry_after(headers.get("retry-after", "")) or max(refills)


def needed_tokens(body: Mapping[str, Any]) -> float:
    """What a request uses of a limit on tokens: its prompt, roughly, and the longest reply."""
    prompt = sum(len(message["content"]) for message in body["messages"]) / CHARACTERS
    return prompt + (body.get("max_tokens") or body.get("max_completion_tokens") or 0)


def until_refilled(headers: Mapping[str, str], what: str, need: float) -> float:
    """Seconds until a limit that fills evenly has room for `need` again; 0 where it has, or where headers say nothing."""
    remaining, limit = (_number(headers.get(f"x-ratelimit-{name}-{what}", "")) for name in ("remaining", "limit"))
    whole = duration(headers.get(f"x-ratelimit-reset-{what}", ""))
    if remaining is None or remaining >= need or not whole:
        return 0.0
    return whole if limit is None or limit <= need else whole * (need - remaining) / (limit - remaining)


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[0-9]{1,12}", text.strip()) else None


def duration(text: str) -> float:
    """Seconds of `1s`, `6m0s`, `120ms`, `1h2m3.5s` or a bare number; 0 for anything else."""
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text.strip()):
        return float(text)
    parts = re.fullmatch(
        r"(?:(\d{1,6})h)?(?:(\d{1,6})m(?!s))?(?:(\d{1,6}(?:\.\d{1,9})?)s)?(?:(\d{1,9}(?:\.\d{1,9})?)ms)?", text.strip()
    )
    scales = (3600, 60, 1, 0.001)
    return sum(float(part) * scale for part, scale in zip(parts.groups(), scales, strict=True) if part) if parts else 0.0


def retry_after(header: str) -> float:
    """The seconds that a `Retry-After` header asks to wait (a number or a date); 0 if it says nothing."""
    if re.fullmatch(r"\s*[0-9]{1,9}\s*", header):
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return 0.0
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _clock(seconds: float) -> str:
    """The time of day then, on this machine, with the day if it is not today."""
    now = datetime.now().astimezone()
    try:
        then = now + timedelta(seconds=seconds)
    except OverflowError:
        return "the end of days"
    return then.strftime("%H:%M:%S" if then.date() == now.date() else "%H:%M on %d %B %Y")
