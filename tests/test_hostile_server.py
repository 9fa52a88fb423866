"""What a hostile or broken server may send: one line says it, in bounded time and memory, and no key goes astray."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import pytest

from fmtbench.backbone import Backbone
from fmtbench.backends import endpoint
from fmtbench.backends.pacing import retry_after
from fmtbench.backends.server import Server
from fmtbench.backends.wire import MOST_BYTES
from fmtbench.errors import FmtbenchError
from fmtbench.running.fuse import fused
from fmtbench.types import Message, Request
from tests.raw_server import Mode, Send, raw, reply, whole
from tests.test_dead_server import run

# A connection that the other side broke off may be collected in the middle of another test.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")

KEY = "opaque-key-of-mine"
SECONDS = 20
MEMORY = 400 * 2**20


def sends(*pieces: bytes) -> Mode:
    def mode(send: Send) -> None:
        for piece in pieces:
            send(piece)

    return mode


def drips(send: Send) -> None:
    send(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    while True:
        send(b" ")
        time.sleep(0.1)


def drips_its_head(send: Send) -> None:
    send(b"HTTP/1.1 200 OK\r\n")
    while True:
        send(b"x: y\r\n")
        time.sleep(0.1)


def never_ends(send: Send) -> None:
    send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        send(b"10000\r\n" + b" " * 65536 + b"\r\n")


def silent(_: Send) -> None:
    time.sleep(30)


@cache
def bomb(pieces: int = 200) -> bytes:
    """Two hundred megabytes of blanks in two hundred kilobytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join([*(packer.compress(b" " * 2**20) for _ in range(pieces)), packer.flush()])


def deep(depth: int = 200_000) -> bytes:
    return b"[" * depth + b"]" * depth


OUT_OF_RANGE = {"message": {}, "logprobs": {"content": [{"token": "a", "bytes": [-1]}]}}
GOOD = reply("The answer is 3.")
CHAT: dict[str, Mode] = {
    "silent": silent,
    "hangs up": sends(b""),
    "half a head": sends(b"HTTP/1.1 200"),
    "no HTTP": sends(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "half a body": sends(whole(GOOD)[:-20]),
    "a byte now and then": drips,
    "a head without end": drips_its_head,
    "a body without end": never_ends,
    "a bomb": lambda send: send(whole(bomb(), "content-encoding: gzip")),
    "an encoding of its own": sends(whole(GOOD, "content-encoding: br")),
    "an encoding that is none": sends(whole(GOOD, "content-encoding: gzip")),
    "deep JSON": sends(whole(deep())),
    "a number without end": sends(whole(b'{"choices": ' + b"9" * 100_000 + b"}")),
    "no JSON": sends(whole(b"<html>Welcome</html>")),
    "empty": sends(whole(b"")),
    "null": sends(whole(b"null")),
    "a list": sends(whole(b"[]")),
    "no choice": sends(whole(b'{"choices": []}')),
    "a choice of nothing": sends(whole(b'{"choices": [null]}')),
    "not UTF-8": sends(whole(b'{"choices": "\xff\xfe"}')),
    "NaN": sends(whole(b"NaN")),
    "another model": sends(whole(reply("The answer is 3.", model="cheaper"))),
    "a model that is no name": sends(whole(reply("The answer is 3.", model=5))),
    "counts that are none": sends(whole(reply("The answer is 3.", usage={"completion_tokens": 10**30}))),
    "bytes out of range": sends(whole(json.dumps({"choices": [OUT_OF_RANGE]}).encode())),
    "redirects": sends(whole(b"", "location: http://127.0.0.1:9/v1", status="307 Temporary Redirect")),
    "redirects to itself": sends(whole(b"", "location: /v1/chat/completions", status="308 Permanent Redirect")),
    "redirects to a file": sends(whole(b"", "location: file:///etc/passwd", status="302 Found")),
    **{
        f"status {status}": sends(whole(b'{"error": {"message": "no"}}', status=f"{status} X"))
        for status in (
            100,
            204,
            206,
            304,
            400,
            401,
            402,
            403,
            404,
            405,
            408,
            409,
            413,
            418,
            422,
            429,
            451,
            500,
            501,
            502,
            503,
            504,
            520,
            599,
        )
    },
    "Retry-After of another script": sends(whole(b"", "retry-after: \u00b2".encode().decode("latin-1"), status="429 X")),
    "Retry-After for ever": sends(whole(b"", "retry-after: 99999999999", status="503 X")),
    "Retry-After in the year 9999": sends(whole(b"", "retry-after: Fri, 31 Dec 9999 23:59:59 GMT", status="503 X")),
    "an error that is a bomb": lambda send: send(whole(bomb(), "content-encoding: gzip", status="500 X")),
    "an error that is deep": sends(whole(deep(), status="500 X")),
    "an error of a megabyte": sends(whole(b"x" * 2**20, status="400 X")),
    "an error with escapes": sends(whole(b'{"error": "\\u001b[2J\\n\\nerror: all is well"}', status="400 X")),
    "an error that echoes the key": sends(whole(json.dumps({"error": KEY}).encode(), status="400 X")),
}
MODELS: dict[str, Mode] = {
    "silent": silent,
    "hangs up": sends(b""),
    "data is a number": sends(whole(b'{"data": 5}')),
    "data is text": sends(whole(b'{"data": "m"}')),
    "cards without a name": sends(whole(b'{"data": [{}, 5, null]}')),
    "deep JSON": sends(whole(deep())),
    "a bomb": lambda send: send(whole(bomb(), "content-encoding: gzip")),
    "a body without end": never_ends,
    "a byte now and then": drips,
    "200,000 others": sends(whole(json.dumps({"data": [{"id": f"model-{i}"} for i in range(200_000)]}).encode())),
    "redirects": sends(whole(b"", "location: http://127.0.0.1:9/v1", status="301 Moved")),
    "a name of a megabyte": sends(whole(json.dumps({"data": [{"id": "x" * 2**20}, {"id": "y"}]}).encode())),
}
SHORT_CHAT = {"a byte now and then", "another model", "redirects", "an error that echoes the key"}
SHORT_MODELS = {"a bomb", "data is a number", "200,000 others"}
"""What every run of the tests throws; make faults throws them all."""


def forms(modes: dict[str, Mode], short: set[str]) -> list[Any]:
    return [pytest.param(mode, id=name, marks=() if name in short else pytest.mark.slow) for name, mode in modes.items()]


def test_there_are_enough_modes() -> None:
    assert len(CHAT) + len(MODELS) >= 64
    assert CHAT.keys() >= SHORT_CHAT
    assert MODELS.keys() >= SHORT_MODELS


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "LONGEST_WAIT", 0.1)
    monkeypatch.setenv("FMTBENCH_API_KEY", KEY)


@contextmanager
def bounded() -> Iterator[None]:
    started, before = time.monotonic(), psutil.Process().memory_info().rss
    yield
    assert time.monotonic() - started < SECONDS
    assert psutil.Process().memory_info().rss - before < MEMORY


def outcome(url: str) -> str:
    """What an engine at this address ends with: the error, or that of the replies, which are no results then."""
    options = {"dialect": "openai", "retries": 1, "concurrency": 4, "timeout_s": 0.5}
    requests = [Request(messages=(Message(role="user", content=f"Question {i}?"),)) for i in range(12)]
    try:
        server = Server(url=url, **options)
        server.identity(Backbone(name="b"), None)
        done = list(fused(server.open(Backbone(name="b")).generate(requests)))
    except FmtbenchError as error:
        return str(error)
    assert all(one.finish_reason == "error" and one.transient for one in done)
    return done[-1].error


def check(said: str) -> None:
    assert said.isprintable()
    assert 0 < len(said) < 3000
    assert KEY not in said


@pytest.mark.parametrize("chat", forms(CHAT, SHORT_CHAT))
def test_a_hostile_reply(chat: Mode) -> None:
    with raw(chat) as heard, bounded():
        check(outcome(heard.url))


@pytest.mark.parametrize("models", forms(MODELS, SHORT_MODELS))
def test_a_hostile_list_of_models(models: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    with raw(sends(whole(GOOD)), models) as heard, bounded():
        check(outcome(heard.url))


@pytest.mark.parametrize("chat", [pytest.param(CHAT["a bomb"], marks=pytest.mark.slow), CHAT["an error with escapes"]])
def test_the_command_says_it_in_one_line(tmp_path: Path, chat: Mode) -> None:
    with raw(chat) as heard:
        done = run(heard.url, tmp_path, "limit=12", "backend.timeout_s=5")
    lines = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert (done.code, len(lines), "Traceback" in done.err) == (1, 1, False)
    assert not list(tmp_path.rglob("accuracy.csv")), "no table is made of what it sent"


def test_a_server_that_is_well(tmp_path: Path) -> None:
    """The null of this file: with good replies the same command ends well."""
    with raw(sends(whole(GOOD))) as heard:
        assert run(heard.url, tmp_path, "limit=12").code == 0


@pytest.mark.slow
def test_a_compressed_reply_is_read(tmp_path: Path) -> None:
    with raw(sends(whole(gzip.compress(GOOD), "content-encoding: gzip"))) as heard:
        assert run(heard.url, tmp_path, "limit=2").code == 0


@pytest.mark.slow
def test_another_name_of_the_model_may_be_allowed(tmp_path: Path) -> None:
    with raw(sends(whole(reply("The answer is 3.", model="m-2026")))) as heard:
        assert run(heard.url, tmp_path, "limit=2", "backend.answers_as=[m-2026]").code == 0


def test_no_key_is_sent_elsewhere() -> None:
    with raw(sends(whole(GOOD))) as other:
        away = sends(whole(b"", f"location: {other.url}/chat/completions", status="307 Temporary Redirect"))
        with raw(away) as heard:
            check(outcome(heard.url))
        assert not other.requests


@pytest.mark.parametrize(
    ("header", "seconds"), [("\u00b2", 0), ("12", 12), ("", 0), ("-3", 0), ("9" * 400, 0), ("Fri, 31 Dec 99999 23:59:59 GMT", 0)]
)
def test_retry_after_that_is_no_number(header: str, seconds: float) -> None:
    assert retry_after(header) == seconds


def test_the_limit_is_above_any_reply() -> None:
    assert MOST_BYTES > 16 * 2**20
