"""backend=batch against a small real server that speaks OpenAI's batch protocol."""

import json
import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fmtbench.backends import batch
from fmtbench.backends.batch import Batch
from fmtbench.backends.batch_api import records_folder
from fmtbench.backends.proof import PROBE_GRAMMAR
from fmtbench.backends.server import Server
from fmtbench.errors import ServerError, UserError
from tests.batch_server import BatchServer, batching
from tests.commanding import command
from tests.http_server import Answer, Body, completion
from tests.test_server import SERVED, asks


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FMTBENCH_CACHE", str(tmp_path / "cache"))


def opened(server: BatchServer, **options: Any) -> Any:
    return Batch(url=server.url, poll_s=0.02, **options).open(SERVED)


def echo(body: Body) -> Answer:
    """Each question has an answer of its own, so that no two are mistaken for each other."""
    return completion(f"You asked: {body['messages'][0]['content']}")


def test_every_request_gets_its_own_answer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    requests = asks(7)
    with batching(BatchServer(chat=echo, looks=2)) as server:
        done = {one.key: one for one in opened(server).generate(requests)}
        assert len(server.batches) == 1
        assert server.purposes == ["batch"]
        assert len(server.single) == 1, "which asks what fields are taken"
        (wanted,) = server.batches.values()
        lines = [json.loads(line) for line in server.files[wanted["input_file_id"]].splitlines()]
    assert {key: one.text for key, one in done.items()} == {
        request.key: f"You asked: {request.messages[0].content}" for request in requests
    }
    assert {one.finish_reason for one in done.values()} == {"stop"}
    assert (wanted["endpoint"], wanted["completion_window"]) == ("/v1/chat/completions", "24h")
    assert [line["custom_id"] for line in lines] == [request.key for request in requests]
    assert {(line["method"], line["url"]) for line in lines} == {("POST", "/v1/chat/completions")}
    assert not any("logprobs" in line["body"] for line in lines)
    assert sum("looked at again at" in record.getMessage() for record in caplog.records) == 2
    assert not list(records_folder().glob("*.json")), "what is collected is forgotten"


def test_a_run_that_was_stopped_pays_for_no_request_twice() -> None:
    requests = asks(5)
    with batching(BatchServer(chat=echo, looks=10**6)) as server:
        stream = opened(server, retries=0).generate(requests)
        server.down = 1  # stands for the kill: the batch was handed in, and nothing is heard of it
        with pytest.raises(ServerError, match=r"tells nothing of batch batch_0 .*: it goes on there; repeat the command later"):
            list(stream)
        server.batches["batch_0"]["looks"] = server.looks = 0
        done = list(opened(server).generate([*requests[2:], *asks(7)[5:]]))  # days later: some are journalled, two are new
        assert sorted(one.text[11:] for one in done) == [f"Question {i}?" for i in range(2, 7)]
        assert len(server.batches) == 2
        handed_in = server.files[server.batches["batch_1"]["input_file_id"]].splitlines()
        assert [json.loads(line)["custom_id"] for line in handed_in] == [request.key for request in asks(7)[5:]]


def test_a_kill_before_it_was_written_down_hands_nothing_in_again() -> None:
    with batching(BatchServer(chat=echo, looks=10**6)) as server:
        server.down = 1
        with pytest.raises(ServerError):
            list(opened(server, retries=0).generate(asks(3)))
        for path in records_folder().glob("*.json"):
            path.unlink()
        server.batches["batch_0"]["looks"] = 0
        assert len(list(opened(server).generate(asks(3)))) == 3
        assert len(server.batches) == 1


def test_looks_that_fail_now_and_then_are_repeated() -> None:
    with batching(BatchServer(chat=echo, down=3)) as server:
        assert len(list(opened(server, retries=3).generate(asks(2)))) == 2


def test_what_a_batch_did_not_answer_is_asked_again_another_time() -> None:
    with batching(BatchServer(chat=echo, ends="expired", answered=2)) as server:
        done = list(opened(server).generate(asks(5)))
        assert sorted(one.finish_reason for one in done) == ["error"] * 3 + ["stop"] * 2
        lost = [one for one in done if one.finish_reason == "error"]
        assert all(one.transient and "ended batch batch_0 (expired) without an answer" in one.error for one in lost)
        server.ends, server.answered = "completed", None
        again = [request for request in asks(5) if request.key in {one.key for one in lost}]
        assert [one.finish_reason for one in opened(server).generate(again)] == ["stop"] * 3
        assert len(server.batches) == 2


def test_a_request_that_is_refused_fails_alone() -> None:
    def choosy(body: Body) -> Answer:
        if body["messages"][0]["content"] == "Question 1?":
            return Answer({"error": {"message": "prompt too long"}}, 400)
        return Answer({"error": {"message": "busy"}}, 503) if body["messages"][0]["content"] == "Question 2?" else echo(body)

    with batching(BatchServer(chat=choosy)) as server:
        done = {one.key: one for one in opened(server).generate(asks(3))}
    fine, refused, busy = (done[request.key] for request in asks(3))
    assert fine.finish_reason == "stop"
    assert (refused.error, refused.transient) == ("400 prompt too long", False)
    assert (busy.error, busy.transient) == ("503 busy", True)


def test_a_batch_that_fails_as_a_whole_says_why_and_is_forgotten() -> None:
    with batching(BatchServer(ends="failed")) as server:
        with pytest.raises(ServerError, match=r"batch batch_0 at \S+ failed as a whole: line 1: no such model"):
            list(opened(server).generate(asks(3)))
        assert not list(records_folder().glob("*.json"))


def test_a_batch_that_is_gone_is_not_given_up_silently() -> None:
    with batching(BatchServer(chat=echo)) as server:
        server.down = 1
        with pytest.raises(ServerError):
            list(opened(server, retries=0).generate(asks(2)))
        server.batches.clear()
        with pytest.raises(UserError, match=r"404 No batch found.*to hand the requests of batch batch_0 in again delete \S+json"):
            list(opened(server).generate(asks(2)))


def test_constraints_are_proven_with_one_request_and_checked_in_each() -> None:
    def loose(body: Body) -> Answer:
        return completion('{"a": "qx"}' if body["messages"][0]["content"] == "Say hello." else "no JSON")

    with batching(BatchServer(chat=loose)) as server:
        done = list(opened(server).generate(asks(2, constraint=PROBE_GRAMMAR)))
    assert {one.error for one in done} == {"the finished text does not keep to its grammar"}


def test_many_requests_are_several_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "MOST_REQUESTS", 3)
    with batching(BatchServer(chat=echo)) as server:
        assert len(list(opened(server).generate(asks(7)))) == 7
        assert len(server.batches) == 3


def test_keys_are_those_of_a_server() -> None:
    with batching(BatchServer()) as server:
        keys = {kind(url=server.url, dialect="openai").identity(SERVED, PROBE_GRAMMAR) for kind in (Server, Batch)}
        assert len(keys) == 1


def test_a_server_without_the_protocol_is_one_line() -> None:
    with batching(BatchServer()) as server:
        server.upload = lambda body: {}  # type: ignore[method-assign]
        with pytest.raises(ServerError, match="speak OpenAI's batch protocol"):
            list(opened(server).generate(asks(1)))


def test_the_command(tmp_path: Path) -> None:
    with batching(BatchServer(looks=1)) as server:
        words = ("backend=batch", f"backend.url={server.url}", "backend.poll_s=0.05", "backbone=served", f"results={tmp_path}")
        done = command("run", *words, "name=x", "task=[addition]", "condition=[free_cot,direct]", "limit=3")
        assert done.code == 0, done.err
        assert len(server.batches) == 1, "the cells of a job are one stream"
        again = command("run", *words, "name=x", "task=[addition]", "condition=[free_cot,direct]", "limit=3")
        assert (again.code, len(server.batches)) == (0, 1)
    assert len(pd.concat([pd.read_parquet(path) for path in tmp_path.rglob("rows.parquet")])) == 6
