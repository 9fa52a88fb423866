"""An error is final for as long as the engine has the same room; results and request keys know nothing of that."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from experiments.run import make_job
from experiments.starting.build import build
from fmtbench.backends.base import Backend, Session
from fmtbench.backends.scripted import ScriptedSession, example_reply
from fmtbench.running.job import Job
from fmtbench.running.pipeline import run
from fmtbench.store.folder import RunFolder
from fmtbench.store.journal import journal_line
from fmtbench.types import Generation, Request
from tests.conftest import composed

LONG = "9 +"
"""What the questions have that need more room."""


@dataclass(kw_only=True)
class Narrow(Backend, Session):
    """Fails on some requests while its batch is large or its context short, as a device without memory does."""

    batch: int = 64
    needs: int = 16
    asked: list[str] = field(default_factory=list)
    context: int = 0

    def identity(self, backbone: Any, constraint: Any) -> str:
        return "narrow"

    def capacity(self, backbone: Any) -> str:
        return json.dumps({"context": backbone.context, "batch": self.batch})

    def open(self, backbone: Any) -> Session:
        self.context = backbone.context
        return self

    def generate(self, requests: Sequence[Request], at_most: int | None = None) -> Iterator[Generation]:
        for request in requests:
            self.asked.append(request.key)
            if LONG in request.messages[-1].content and (self.batch > self.needs or self.context < 2048):
                yield Generation(key=request.key, text="", finish_reason="error", error="out of memory")
            else:
                yield from ScriptedSession(example_reply).generate([request])

    def facts(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        pass


def job(results: Path, backend: Backend, *words: str) -> Job:
    few = ("backend=scripted", "task=[addition]", "limit=12", "condition=[free_cot]", "name=x", f"results={results}")
    return replace(make_job(composed(*few, *words)), backend=backend)


def statuses(rows: Sequence[Any]) -> list[str]:
    return sorted({row.status for row in rows})


@pytest.fixture
def failed(tmp_path: Path) -> tuple[Path, int]:
    """Results with errors, and how many."""
    rows = run(job(tmp_path, Narrow()))
    count = sum(row.status == "engine_error" for row in rows)
    assert 0 < count < 12
    return tmp_path, count


def test_the_same_room_asks_nothing_again(failed: tuple[Path, int]) -> None:
    again = Narrow()
    assert "engine_error" in statuses(run(job(failed[0], again)))
    assert again.asked == []


@pytest.mark.parametrize("batch", [8, 32])
def test_another_batch_asks_the_errors_again_and_nothing_else(failed: tuple[Path, int], batch: int) -> None:
    results, count = failed
    again = Narrow(batch=batch)
    rows = run(job(results, again))
    assert len(again.asked) == count
    assert ("engine_error" in statuses(rows)) == (batch == 32)
    still = Narrow(batch=batch)
    run(job(results, still))
    assert still.asked == [], "what failed with this room, too, is final"
    back = Narrow()
    run(job(results, back))
    assert back.asked == [], "and so it is with the first"


def test_a_longer_context_asks_again(tmp_path: Path) -> None:
    short = ("backbone.context=512",)
    assert "engine_error" in statuses(run(job(tmp_path, Narrow(batch=8), *short)))
    assert statuses(run(job(tmp_path, Narrow(batch=8)))) == ["ok"]


def test_an_error_of_less_room_is_not_shared(failed: tuple[Path, int]) -> None:
    """Another cell with the same requests asks them itself."""
    results, count = failed
    again = Narrow(batch=8)
    rows = run(job(results, again, "condition=[free_cot,nl_to_json]"))
    assert "engine_error" not in statuses(rows)
    assert len(again.asked) == count + 12, "the errors once for both cells, and 12 second passes"


def test_an_error_of_an_older_journal_stands(failed: tuple[Path, int]) -> None:
    results, _ = failed
    (path,) = results.rglob("generations.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    kept = [{name: value for name, value in line.items() if name not in ("crc32", "capacity")} for line in lines]
    path.write_bytes(b"".join(map(journal_line, kept)))
    again = Narrow(batch=8)
    run(job(results, again))
    assert again.asked == []
    run(replace(job(results, again), retry_errors=True))
    assert len(again.asked) == failed[1]


def test_only_errors_say_what_room_there_was(failed: tuple[Path, int]) -> None:
    (path,) = failed[0].rglob("generations.jsonl")
    said = list(RunFolder(path.parent).generations())
    assert {one.capacity for one in said if one.finish_reason != "error"} == {""}
    assert {one.capacity for one in said if one.finish_reason == "error"} == {'{"context": 2048, "batch": 64}'}


@pytest.mark.parametrize("engine", ["hf", "vllm"])
@pytest.mark.parametrize("change", ["backbone.context=512", "batch", "device"])
def test_room_is_no_part_of_a_key(engine: str, change: str, backbone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    words = {"batch": {"hf": "backend.batch_size=3", "vllm": "backend.max_num_seqs=3"}[engine]}.get(change, change)
    if engine == "vllm":
        pytest.importorskip("vllm")
    config, other = composed(f"backend={engine}"), composed(f"backend={engine}", *([] if change == "device" else [words]))
    first, second = (build(one.backend, "backend") for one in (config, other))
    where, there = (build(one.backbone, "backbone") for one in (config, other))
    before = first.capacity(where)
    if change == "device":
        module = "fmtbench.backends.hf" if engine == "hf" else "fmtbench.backends.vllm.backend"
        monkeypatch.setattr(f"{module}.device_name", lambda device: "NVIDIA H200, 140 GiB")
    assert second.capacity(there) != before
    assert second.identity(there, None) == first.identity(where, None)
