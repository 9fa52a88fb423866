"""Rate limits against small real servers: everybody waits, a line says until when, and no more is asked than the limit has."""

import asyncio
import logging
import re
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from fmtbench.backends import pacing
from fmtbench.backends.pacing import Pace, duration, told_to_wait, until_refilled
from fmtbench.errors import ServerError
from tests.http_server import Answer, Body, completion, serving
from tests.test_server import asks, opened

WAITING = re.compile(r"rate limit \((.+)\): waiting until \d\d:\d\d:\d\d \((\d+) s\)")


class Bucket:
    """A provider that answers so many requests a window, and turns the others down until the next one."""

    def __init__(self, most: int, seconds: float, *, dated: bool = False) -> None:
        self.most, self.seconds, self.dated = most, seconds, dated
        self.began, self.left, self.refused = time.monotonic(), most, 0
        self.lock = threading.Lock()

    def __call__(self, body: Body) -> Answer:
        with self.lock:
            now = time.monotonic()
            if now - self.began >= self.seconds:
                self.began, self.left = now, self.most
            if self.left:
                self.left -= 1
                return completion("ok")
            self.refused += 1
            return Answer({"error": {"message": "tokens per min"}}, 429, {"retry-after": self._after(now)})

    def _after(self, now: float) -> str:
        left = self.began + self.seconds - now
        return format_datetime(datetime.now(UTC) + timedelta(seconds=left + 1), usegmt=True) if self.dated else "2"


@pytest.mark.parametrize("dated", [False, True], ids=["seconds", "a date"])
def test_all_wait_for_a_limit_and_one_line_says_until_when(caplog: pytest.LogCaptureFixture, dated: bool) -> None:
    caplog.set_level(logging.INFO)
    bucket = Bucket(6, 2.0, dated=dated)
    with serving(bucket) as seen:
        done = list(opened(seen.url, concurrency=12, retries=1).generate(asks(14)))
    assert [one.text for one in done] == ["ok"] * 14, "more windows than retries, and nobody gave up"
    said = [found for record in caplog.records if (found := WAITING.search(record.getMessage()))]
    assert 1 <= len(said) <= 4, "one line a window, not one a request"
    assert said[0][1] == "429 tokens per min"
    assert bucket.refused <= 12, "the first window's, and few after it"


def test_a_limit_under_which_nobody_is_answered_ends_the_run() -> None:
    """The null: waiting without end is no obedience."""
    with serving(lambda _: Answer({"error": {"message": "quota"}}, 429, {"retry-after": "1"})) as seen:
        with pytest.raises(ServerError, match=r"429 quota, 2 times"):
            list(opened(seen.url, retries=1).generate(asks(2)))
        assert len(seen.bodies) <= 4


def test_a_limit_of_days_ends_the_run_and_says_until_when() -> None:
    with serving(lambda _: Answer({"error": {"message": "daily"}}, 429, {"retry-after": "200000"})) as seen:
        started = time.monotonic()
        with pytest.raises(
            ServerError, match=r"fails \(429 daily\) until \d\d:\d\d on \d\d \w+ \d{4}: .* repeat the command then"
        ):
            list(opened(seen.url).generate(asks(2)))
        assert time.monotonic() - started < 5


def test_what_remains_of_a_limit_is_not_overdrawn(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    used_up = {"x-ratelimit-remaining-tokens": "10", "x-ratelimit-limit-tokens": "100000", "x-ratelimit-reset-tokens": "1m0s"}
    waiting = [Answer(completion("ok").content, 200, used_up)]
    with serving(lambda _: waiting.pop() if waiting else completion("ok")) as seen:
        started = time.monotonic()
        done = list(opened(seen.url, concurrency=1).generate(asks(2, max_tokens=3000)))
        assert len(done) == 2
        assert 1.7 < time.monotonic() - started < 10, "60 s for 100,000 tokens is 1.8 s for 3,000"
    assert any("tokens a minute are used up" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("6m0s", 360), ("120ms", 0.12), ("1h2m3.5s", 3723.5), ("7", 7), ("0.25", 0.25), ("", 0), ("soon", 0), ("-3s", 0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


def test_a_limit_fills_evenly() -> None:
    headers = {"x-ratelimit-remaining-tokens": "100", "x-ratelimit-limit-tokens": "1100", "x-ratelimit-reset-tokens": "10s"}
    assert until_refilled(headers, "tokens", 600) == pytest.approx(5.0)
    assert until_refilled(headers, "tokens", 100) == 0
    assert until_refilled(headers, "tokens", 5000) == 10, "more than the limit ever has"
    assert until_refilled(headers, "requests", 1) == until_refilled({}, "tokens", 600) == 0
    body = {"messages": [{"content": "x" * 400}], "max_tokens": 500}
    assert told_to_wait(headers, body) == pytest.approx(5.0)
    assert told_to_wait(headers | {"retry-after": "3"}, body) == 3, "what it says outright"


def test_half_as_many_are_in_flight_after_a_limit_and_more_again_after_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def flown(pace: Pace, count: int) -> int:
        flying = most = 0

        async def one() -> None:
            nonlocal flying, most
            async with pace.turn():
                flying += 1
                most = max(most, flying)
                await asyncio.sleep(0.001)
                flying -= 1

        await asyncio.gather(*(one() for _ in range(count)))
        return most

    async def story() -> list[int]:
        pace = Pace("url", 16)
        found = [await flown(pace, 40)]
        for _ in range(16):  # of one burst: it counts once
            pace.limited(0.01, "429")
        found.append(await flown(pace, 40))
        for _ in range(200):
            pace.taken({}, {"messages": []})
        return [*found, await flown(pace, 40)]

    assert asyncio.run(story()) == [16, 8, 16]


def test_the_clock_names_the_day_where_it_is_another() -> None:
    assert re.fullmatch(r"\d\d:\d\d on \d\d \w+ \d{4}", pacing._clock(3 * 86400))
    assert pacing._clock(1e300) == "the end of days"
