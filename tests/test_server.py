"""backend=server against small real servers: what is tried again, what stops the run, and in which words."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from experiments.starting.build import build
from fmtbench.backbone import Backbone
from fmtbench.backends.pacing import retry_after
from fmtbench.backends.proof import PROBE_GRAMMAR
from fmtbench.backends.reply import Token, token_ends
from fmtbench.backends.server import Server, ServerSession
from fmtbench.decoding.grammar import ANYTHING
from fmtbench.decoding.json_mode import any_object
from fmtbench.errors import BarredError, DecoderError, ServerError, UserError
from fmtbench.types import Generation, Message, Request
from tests.commanding import Done, command
from tests.conftest import ROOT, composed
from tests.http_server import MODELS, WEB_PAGE, Answer, Body, completion, obedient, serving

SERVED = Backbone(name="b")
HELD = [Request(messages=(Message(role="user", content="Say a."),), constraint=PROBE_GRAMMAR)]
SECRET = "sk-do-not-tell-4711"


def asks(count: int, **changes: Any) -> list[Request]:
    return [Request(messages=(Message(role="user", content=f"Question {i}?"),), **changes) for i in range(count)]


def opened(url: str, **options: Any) -> ServerSession:
    return Server(**({"url": url, "retries": 2, "dialect": "openai"} | options)).open(SERVED)


def run(*arguments: str, **environment: str) -> Done:
    with pytest.MonkeyPatch.context() as patched:
        for name, value in environment.items():
            patched.setenv(name, value)
        return command("run", "backend=server", "backbone=served", "task=[addition]", *arguments)


def after_probe(*answers: Answer) -> Any:
    """Obeys the probe, then gives these answers in turn, the last one for ever."""
    waiting = list(answers)

    def chat(body: Body) -> Answer:
        if "response_format" in body:
            return obedient(body)
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    return chat


# -- every request, in the order in which they finish


def test_at_most_so_many_in_flight_and_each_once() -> None:
    def slow(body: Body) -> Answer:
        time.sleep(0.02)
        return obedient(body)

    with serving(slow) as seen:
        server = opened(seen.url, concurrency=5)
        started = time.perf_counter()
        done = list(server.generate(asks(40)))
        wall = time.perf_counter() - started
        assert sorted(one.key for one in done) == sorted(request.key for request in asks(40))
        assert seen.most == 5
        assert len(seen.bodies) == 40, "each request once, and no probe where nothing is constrained"
    assert 0.5 * wall < sum(one.seconds for one in done) <= wall, "shares of the wall time"


def test_each_is_yielded_as_it_finishes() -> None:
    gate = threading.Event()

    def one_is_slow(body: Body) -> Answer:
        if body["messages"][0]["content"] == "Question 0?":
            gate.wait(30)
        return obedient(body)

    with serving(one_is_slow) as seen:
        stream = opened(seen.url).generate(asks(3))
        early = {next(stream).key, next(stream).key}
        assert early == {request.key for request in asks(3)[1:]}
        gate.set()
        assert [one.key for one in stream] == [asks(1)[0].key]


def test_closing_early_hangs_up() -> None:
    gate = threading.Event()

    def stuck(body: Body) -> Answer:
        if body["messages"][0]["content"] != "Question 0?" and "response_format" not in body:
            gate.wait(30)
        return obedient(body)

    with serving(stuck) as seen:
        stream = opened(seen.url).generate(asks(3))
        next(stream)
        started = time.monotonic()
        stream.close()
        assert time.monotonic() - started < 5
        gate.set()
        assert seen.hung_up.wait(10)


def test_it_works_where_an_event_loop_runs_already() -> None:
    async def notebook(url: str) -> list[Generation]:
        return list(opened(url).generate(asks(2)))

    with serving() as seen:
        assert len(asyncio.run(notebook(seen.url))) == 2


UNCAUGHT = """
import anyio
from fmtbench.backends.streaming import streamed

async def produce(put):
    put(1)
    await anyio.sleep(60)

def caller(results):
    for one in results:
        raise ValueError("the caller's own")

caller(streamed(produce))
"""


def test_an_error_that_nobody_catches_does_not_keep_the_interpreter() -> None:
    """Its traceback holds the open iterator until the interpreter exits."""
    done = subprocess.run([sys.executable, "-c", UNCAUGHT], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "the caller's own" in done.stderr


def test_an_interrupt_ends_in_one_line(tmp_path: Path) -> None:
    gate = threading.Event()

    def stuck(body: Body) -> Answer:
        if "response_format" not in body:
            gate.wait(60)
        return obedient(body)

    with serving(stuck) as seen:
        command = [sys.executable, "-m", "experiments.run", "backend=server", "backbone=served", "backend.dialect=openai"]
        command += [f"backend.url={seen.url}", f"results={tmp_path}", "task=[addition]", "limit=2", "condition=[free_cot]"]
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        while len(seen.bodies) < 2 and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        _, said = process.communicate(timeout=30)
        gate.set()
    assert process.returncode == 130
    assert time.monotonic() - started < 10
    assert said.splitlines()[-1].startswith("error: interrupted; what was generated is kept")
    assert "Traceback" not in said


# -- what is tried again


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_a_busy_server_is_asked_again(status: int) -> None:
    busy = Answer({"error": {"message": "overloaded"}}, status)
    with serving(after_probe(busy, busy, completion("ok"))) as seen:
        (one,) = opened(seen.url).generate(asks(1))
        assert (one.text, one.finish_reason, len(seen.bodies)) == ("ok", "stop", 3)


def test_retry_after_is_obeyed() -> None:
    with serving(after_probe(Answer("", 429, {"retry-after": "2"}), completion("ok"))) as seen:
        server = opened(seen.url)
        started = time.monotonic()
        assert [one.text for one in server.generate(asks(1))] == ["ok"]
        assert time.monotonic() - started >= 2


def test_retry_after_in_seconds_or_as_a_date() -> None:
    assert retry_after("7") == 7
    assert 50 < retry_after(format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)) <= 60
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert retry_after("") == retry_after("soon") == 0


def test_what_is_refused_for_its_content_is_not_asked_again() -> None:
    words = "This model's maximum context length is 2048 tokens. However, your prompt contains 3011 input tokens"
    with serving(after_probe(Answer({"error": {"message": words}}, 400), completion("ok"))) as seen:
        first, second = opened(seen.url, concurrency=1).generate(asks(2))
        assert (first.finish_reason, first.error) == ("error", f"400 {words}")
        assert (second.text, len(seen.bodies)) == ("ok", 2)


def test_the_item_that_is_too_long_is_named(tmp_path: Path) -> None:
    words = "maximum context length is 2048 tokens. However, your prompt contains 3011 input tokens"
    with serving(after_probe(completion("ok"), *[Answer({"error": {"message": words}}, 400)] * 2)) as seen:
        options = ("backend.dialect=openai", "limit=6", "condition=[free_cot]", "name=x")
        done = run(f"backend.url={seen.url}", f"results={tmp_path}", *options)
    assert done.code == 0, done.err
    items = pd.concat([pd.read_parquet(path) for path in tmp_path.rglob("rows.parquet")]).item_id
    assert f"{items.iloc[0]}: 400 {words}" in done.err
    assert "and 2 more" in done.err


def test_a_request_that_never_answers_fails_alone() -> None:
    gate = threading.Event()

    def poison(body: Body) -> Answer:
        if body["messages"][0]["content"] == "Question 1?":
            gate.wait(30)
        return obedient(body)

    with serving(poison) as seen:
        done = {one.key: one for one in opened(seen.url, timeout_s=0.3, retries=1).generate(asks(3))}
        gate.set()
        one, two, three = (done[request.key] for request in asks(3))
        assert (one.finish_reason, three.finish_reason) == ("stop", "stop")
        assert (two.finish_reason, two.error) == ("error", "ReadTimeout: no whole reply in 0.3 s, 2 times")
        assert seen.questions().count("Question 1?") == 2


def test_a_server_that_dies_stops_the_run_and_journals_nothing() -> None:
    alive = [True]

    def models() -> Answer:
        return Answer(MODELS) if alive[0] else Answer("", 503)

    def chat(body: Body) -> Answer:
        if "response_format" in body:
            return obedient(body)
        alive[0] = False
        return Answer("", 500)

    with serving(chat, models) as seen:
        server = opened(seen.url, retries=1)
        with pytest.raises(ServerError, match=r"fails \(500 .*, 2 times\): what was generated is kept; repeat the command"):
            list(server.generate(asks(3)))


def test_a_rate_limit_that_stays_stops_the_run() -> None:
    with serving(after_probe(Answer({"error": {"message": "quota"}}, 429))) as seen:
        server = opened(seen.url, retries=1)
        with pytest.raises(ServerError, match=r"429 quota, 2 times"):
            list(server.generate(asks(3)))


# -- what stops the run, in one line


def closed_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/v1"


def test_no_server() -> None:
    with pytest.raises(UserError, match=r"no server answers at \S+/v1 \(.*refused\): start it, or set backend.url"):
        Server(url=closed_port()).identity(SERVED, None)


def test_a_web_page() -> None:
    with (
        serving(models=lambda: WEB_PAGE) as seen,
        pytest.raises(UserError, match=r"answers text/html, not JSON: .* in /v1"),
    ):
        Server(url=seen.url).identity(SERVED, None)
    with serving(lambda _: WEB_PAGE) as seen, pytest.raises(UserError, match="answers text/html, not JSON"):
        list(opened(seen.url).generate(asks(1)))


def test_another_page() -> None:
    with serving() as seen, pytest.raises(UserError, match=r"is not there \(404 Not Found\): is backend.url right\?"):
        Server(url=seen.url.removesuffix("/v1")).identity(SERVED, None)
    with serving(models=lambda: Answer({"ok": True})) as seen, pytest.raises(UserError, match="lists no model"):
        Server(url=seen.url).identity(SERVED, None)
    with (
        serving(lambda _: Answer({"choices": []})) as seen,
        pytest.raises(ServerError, match=r"does not answer as .* \(choices: "),
    ):
        list(opened(seen.url).generate(asks(10)))


def test_a_model_that_is_not_served() -> None:
    two = {"data": [{"id": "big"}, {"id": "small"}]}
    with serving(models=lambda: Answer(two)) as seen:
        with pytest.raises(UserError, match=r"model huge is not served at .*: set backend.model to one of big, small"):
            Server(url=seen.url, model="huge").identity(SERVED, None)
        with pytest.raises(UserError, match=r"several models are served at .*: set backend.model to one of big, small"):
            Server(url=seen.url).identity(SERVED, None)
        assert json.loads(Server(url=seen.url, model="big").identity(SERVED, None))["model"] == "big"
    with serving() as seen, pytest.raises(UserError, match="model org/other is not served"):
        Server(url=seen.url).identity(Backbone(name="b", hub_id="org/other"), None)


@pytest.mark.parametrize("ignores", ["Hello!", '{"b": 1}', '{"a": "hello"}'])
def test_a_schema_that_is_dropped_silently(ignores: str) -> None:
    with serving(lambda _: completion(ignores)) as seen, pytest.raises(DecoderError, match=r"schema not enforced by .*two-word"):
        list(opened(seen.url).generate(HELD))
    with serving(lambda _: completion(ignores)) as seen:
        session = opened(seen.url)
        for _ in range(2):  # a session that was turned down is not believed the second time
            with pytest.raises(DecoderError, match="schema not enforced"):
                list(session.generate(HELD))


@pytest.mark.parametrize("dialect", ["vllm", "llamacpp"])
def test_the_command_says_in_one_line_that_a_server_ignores_grammars(tmp_path: Path, dialect: str) -> None:
    """So it does where the dialect is wrong. Nothing is asked but the probe."""
    with serving(lambda _: completion("Hello!")) as seen:
        words = (f"backend.url={seen.url}", f"backend.dialect={dialect}", "condition=[free_cot,json_schema]", "limit=1")
        done = command("run", "backend=server", "backbone=served", "task=[addition]", *words, "name=x", f"results={tmp_path}")
        assert set(seen.questions()) == {"Say hello."}
    assert done.code == 1
    assert done.err.splitlines()[-1].startswith(f"error: schema not enforced by {seen.url}: ")
    assert done.err.rstrip().endswith(f"is backend.dialect={dialect} right for this server?")
    assert "Traceback" not in done.err


def test_a_schema_field_that_the_server_refuses() -> None:
    refusal = Answer({"error": {"message": "unknown field response_format"}}, 400)
    with serving(lambda _: refusal) as seen, pytest.raises(DecoderError, match=r"schema not enforced .*unknown field"):
        list(opened(seen.url).generate(HELD))


def test_white_space_is_the_servers_business_under_a_dialect_without_grammars() -> None:
    spread = completion('{\n  "a": "qx"\n}')
    with serving(lambda _: spread) as seen:
        (one,) = opened(seen.url).generate(HELD)
        assert (one.text, one.finish_reason) == ('{\n  "a": "qx"\n}', "stop")
    with serving(lambda _: spread) as seen, pytest.raises(DecoderError, match="schema not enforced"):
        list(opened(seen.url, dialect="sglang").generate(HELD))


def test_json_mode_is_a_json_object_where_grammars_cannot_be_sent() -> None:
    deep = completion('{"a": {"b": {"c": {"d": [[1]]}}}}')
    with serving(lambda body: deep if body.get("response_format") == {"type": "json_object"} else obedient(body)) as seen:
        session = opened(seen.url)
        (one,) = session.generate(asks(1, constraint=any_object()))
        assert one.finish_reason == "stop"
    with serving(
        lambda body: completion("[1]") if body.get("response_format") == {"type": "json_object"} else obedient(body)
    ) as seen:
        (one,) = opened(seen.url).generate(asks(1, constraint=any_object()))
        assert one.finish_reason == "error"


def test_what_a_dialect_cannot_say_bars_the_cell_alone(tmp_path: Path) -> None:
    with serving() as seen:
        with pytest.raises(BarredError, match="sends JSON schemas, and this condition has another grammar"):
            Server(url=seen.url, dialect="openai").admit(SERVED, ANYTHING)
        arguments = [f"backend.url={seen.url}", "backend.dialect=openai", "limit=1", f"results={tmp_path}"]
        done = run(*arguments, "condition=[free_cot,sham]")
    assert done.code == 0, done.err
    assert "addition/sham does not run: backend.dialect=openai sends JSON schemas" in done.err
    found = {path.parent.name for path in tmp_path.rglob("rows.parquet") if len(pd.read_parquet(path))}
    assert len(found) == 1, found


# -- secrets


def test_the_key_goes_to_the_server_and_nowhere_else(tmp_path: Path) -> None:
    with serving() as seen:
        done = run(
            f"backend.url={seen.url}",
            "backend.dialect=openai",
            "limit=2",
            "condition=[free_cot]",
            f"results={tmp_path}",
            FMTBENCH_API_KEY=f"{SECRET}\n",
        )
        assert done.code == 0, done.err
        assert seen.keys == {f"Bearer {SECRET}"}
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert SECRET not in done.out + done.err
    assert SECRET.encode() not in written
    rows = pd.concat([pd.read_parquet(path) for path in tmp_path.rglob("rows.parquet")])
    assert list(rows.completion_tokens) == [5, 5], "the server's own count, since it gives no ids"
    assert rows.reasoning_tokens.isna().all(), "it does not say which token wrote what"
    assert (rows.reasoning_words > 0).all()


def test_a_refused_key_is_not_shown_though_the_server_echoes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    echo = Answer({"error": {"message": f"Incorrect API key provided: {SECRET}"}}, 401)
    with serving(models=lambda: echo) as seen:
        monkeypatch.setenv("FMTBENCH_API_KEY", SECRET)
        with pytest.raises(UserError, match=r"not accept the key .*: check the environment variable FMTBENCH_API_KEY") as caught:
            Server(url=seen.url).identity(SERVED, None)
        assert SECRET not in str(caught.value)
        monkeypatch.delenv("FMTBENCH_API_KEY")
        with pytest.raises(UserError, match="put your key into the environment variable FMTBENCH_API_KEY"):
            Server(url=seen.url).identity(SERVED, None)
        monkeypatch.setenv("FMTBENCH_API_KEY", f"{SECRET}\nHost: elsewhere")
        with pytest.raises(UserError, match="holds blanks") as caught:
            Server(url=seen.url).identity(SERVED, None)
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (f"backend.url=https://user:{SECRET}@host/v1", "an address must hold no key"),
        (f"backend.url='https://host/v1?key={SECRET}'", "an address must hold no key"),
        ("backend.url=localhost:8000/v1", "such as http://localhost:8000/v1"),
        (f"backend.key_variable={SECRET}", "the NAME of an environment variable"),
        ("backend.key_variable=hf_abcdef", "the NAME of an environment variable"),
        ("decoder=xgrammar", "should be 'server'"),
        ("backend.concurrency=0", "greater than 0"),
        ("backend.dialect=ollama", "should be 'vllm', 'sglang', 'llamacpp' or 'openai'"),
    ],
)
def test_settings_that_are_refused(override: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        build(composed("backend=server", override).backend, "backend")
    assert SECRET not in str(caught.value)


# -- what is sent and read


def test_what_is_sent() -> None:
    request = asks(1, constraint=PROBE_GRAMMAR, temperature=0.5, top_p=0.9, max_tokens=7, seed=2**55)[0]
    sent = {}
    for dialect in ("openai", "vllm", "sglang"):
        with serving() as seen:
            server = opened(seen.url, dialect=dialect, extra_body={"chat_template_kwargs": {"enable_thinking": False}})
            list(server.generate([request]))
            sent[dialect] = seen.bodies[-1]
    assert sent["openai"] == {
        "model": "m",
        "messages": [{"role": "user", "content": "Question 0?"}],
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 7,
        "seed": 2**55,
        "logprobs": True,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "contract", "strict": True, "schema": json.loads(PROBE_GRAMMAR.source)},
        },
        "chat_template_kwargs": {"enable_thinking": False},
    }
    assert sent["vllm"]["structured_outputs"]["regex"] == sent["sglang"]["regex"] == r'\{[ ]?"a"[ ]?:[ ]?("qx"|"zj")[ ]?\}'
    assert sent["vllm"]["return_token_ids"] is True
    assert sent["vllm"]["top_k"] == -1, "what a model is shipped with does not decide"


def test_a_reply_without_a_known_end_is_an_error() -> None:
    with serving(after_probe(completion("half", "content_filter"))) as seen:
        (one,) = opened(seen.url).generate(asks(1))
    assert (one.finish_reason, one.error) == ("error", "the server ended the request with finish reason 'content_filter'")


def test_tokens_are_placed_by_their_bytes() -> None:
    spelled = [Token(token="x", bytes=list(piece)) for piece in ("né".encode(), b"\xf0\x9f", b"\x98\x80", b"!", b"<|im_end|>")]
    assert token_ends(spelled, "né😀!") == (2, 2, 3, 4, 4)
    assert token_ends([Token(token="a"), Token(token="b")], "ab") == (1, 2)
    assert token_ends(spelled, "something else") == ()
    assert token_ends([], "") == ()
    assert token_ends([], "text") == ()


def test_special_tokens_in_messages_are_broken_up_as_far_as_they_are_known() -> None:
    request = Request(messages=(Message(role="user", content="a<|im_end|>b</s>c [INST] <think>"),))
    with serving() as seen:
        (one,) = opened(seen.url).generate([request])
        assert seen.questions()[-1] == "a< |im_end|>b< /s>c [ INST] <think>"
    assert one.neutralised == 3


def test_identity_is_what_the_server_says_of_itself() -> None:
    with serving() as seen:
        free = json.loads(Server(url=f"{seen.url}/").identity(SERVED, None))
        held = json.loads(Server(url=seen.url).identity(SERVED, PROBE_GRAMMAR))
    assert free == {
        "engine": "server", "url": seen.url, "model": "m", "root": None, "owned_by": "tests",
        "version": None, "dialect": "vllm", "extra_body": {},
    }  # fmt: skip
    assert held == free | {"decoder": "server (structured_outputs.regex)"}
