"""Plan, generate what is missing, read, score: with a scripted engine, and killed in the middle."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from experiments.reporting.accuracy import barred_cells
from experiments.run import make_job
from fmtbench.analysis.rows.frame import load_rows
from fmtbench.backbone import Backbone
from fmtbench.backends.base import Session
from fmtbench.backends.scripted import Scripted, ScriptedSession
from fmtbench.conditions.condition import Condition
from fmtbench.conditions.prompt import Prompt
from fmtbench.errors import BarredError, UserError
from fmtbench.running.asking import request_seed
from fmtbench.running.job import Cell, Job
from fmtbench.running.pipeline import run
from fmtbench.running.planning import plan
from fmtbench.running.scoring import score
from fmtbench.tasks.arithmetic import Addition
from fmtbench.types import Constraint, Generation, Request, Sampling
from tests.conftest import composed
from tests.killing import asked, killed_when, slowly

PROMPT = Prompt(
    role="You help.",
    task="Answer.",
    none="Be brief.",
    free="Think.",
    budget="Think in {words} words.",
    staged="Parts: {stages}.",
    draft="Note.",
    convert="Convert.",
)
CONDITIONS = {
    "free_cot": Condition(),
    "json_schema": Condition(asked="json", enforced="schema"),
    "sham": Condition(enforced="sham"),
}


def adds(request: Request) -> str:
    """A model that can add, and answers in the format that it is held to."""
    question = request.messages[0].content.rpartition("\n\n")[2]
    total = sum(int(word) for word in question.strip("?").split() if word.isdigit())
    return (
        f'{{"reasoning": "two words", "answer": {total}}}'
        if request.constraint and request.constraint.kind == "json_schema"
        else f"Let me add. The answer is {total}."
    )


def job(tmp_path: Path, reply: Callable[[Request], str] = adds, **changes: Any) -> Job:
    weights = tmp_path / "weights"
    weights.mkdir(parents=True, exist_ok=True)
    (weights / "config.json").write_text("{}")
    (weights / "model.safetensors").write_bytes(b"weights")
    names = changes.pop("conditions", CONDITIONS)
    cells = [Cell(experiment="e", backbone="b", task="addition", condition=name, prompt="p", seed=0) for name in names]
    whole: dict[str, Any] = {
        "cells": cells, "tasks": {"addition": Addition(seed=0, size=10)}, "conditions": names, "prompts": {"p": PROMPT},
        "backbone": Backbone(name="b", path=str(weights)), "backend": Scripted(reply=reply), "sampling": Sampling(max_tokens=50),
        "results": tmp_path / "results", "limit": 8,
    }  # fmt: skip
    return Job(**(whole | changes))


class Failing(Scripted):
    """Fails on every request, and must not be asked to convert a failure."""

    def open(self, backbone: Any) -> Session:
        return FailingSession(self.reply)


class FailingSession(ScriptedSession):
    def generate(self, requests: Sequence[Request], at_most: int | None = None) -> Iterator[Generation]:
        for request in requests:
            assert len(request.messages) == 1
            yield Generation(key=request.key, text="", finish_reason="error", error="out of memory", decoder="scripted")


class Counting:
    """Counts how often each request is answered."""

    def __init__(self, reply: Callable[[Request], str] = adds) -> None:
        self.reply, self.asked = reply, Counter[str]()

    def __call__(self, request: Request) -> str:
        self.asked[request.key] += 1
        return self.reply(request)


def test_a_run_fills_its_folders(tmp_path: Path) -> None:
    rows = run(job(tmp_path))
    assert len(rows) == 24
    assert all(row.correct and row.latent_correct and row.status == "ok" for row in rows)
    folder = tmp_path / "results" / "e" / "b" / "addition" / "json_schema" / "p-seed0"
    assert {path.name for path in folder.iterdir()} >= {
        "config.yaml",
        "manifest.json",
        "requests.jsonl",
        "generations.jsonl",
        "rows.parquet",
        "run.log",
    }
    frame = pd.read_parquet(folder / "rows.parquet")
    assert list(frame.reasoning_words) == [2] * 8
    assert all(0 < tokens < total for tokens, total in zip(frame.reasoning_tokens, frame.completion_tokens))
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["status"], manifest["statuses"], manifest["decoder"]) == ("complete", {"ok": 8}, ["scripted"])
    assert {"code", "packages", "hardware", "items_sha256", "engine", "started", "finished"} <= manifest.keys()


def test_the_same_command_again_generates_nothing(tmp_path: Path) -> None:
    first = run(job(tmp_path))

    def refuse(request: Request) -> str:
        raise AssertionError("asked again")

    assert run(job(tmp_path, refuse)) == first


@pytest.mark.parametrize("broken_at", range(0, 24, 5))
def test_a_run_that_broke_off_goes_on(tmp_path: Path, broken_at: int) -> None:
    counting = Counting()

    def breaks(request: Request) -> str:
        if sum(counting.asked.values()) == broken_at:
            raise KeyboardInterrupt
        return counting(request)

    with pytest.raises(KeyboardInterrupt):
        run(job(tmp_path, breaks))
    rows = run(job(tmp_path, counting))
    assert set(counting.asked.values()) == {1}, "nothing that was journalled is repeated"
    assert rows == run(job(tmp_path / "unbroken"))


@pytest.mark.parametrize(
    "change",
    [
        {"prompts": {"p": replace(PROMPT, role="You  help.")}},
        {"sampling": Sampling(max_tokens=51)},
        {"sampling": Sampling(max_tokens=50, temperature=0.5)},
        {
            "conditions": {
                name: replace(condition, answer_field="result")
                for name, condition in CONDITIONS.items()
                if condition.asked == "json"
            }
        },
    ],
    ids=["a space in the prompt", "max_tokens", "temperature", "a field name"],
)
def test_a_changed_request_is_never_taken_for_an_old_one(tmp_path: Path, change: dict[str, Any]) -> None:
    run(job(tmp_path))
    counting = Counting(lambda request: '{"reasoning": "r", "result": 1}')
    rows = run(job(tmp_path, counting, **change))
    assert sum(counting.asked.values()) == len(rows)


def test_a_larger_limit_adds_only_the_new_items(tmp_path: Path) -> None:
    run(job(tmp_path, limit=3))
    counting = Counting()
    assert len(run(job(tmp_path, counting, limit=8))) == 24
    assert sum(counting.asked.values()) == 15


def test_requests_that_cells_share_are_generated_once(tmp_path: Path) -> None:
    counting = Counting()
    rows = run(job(tmp_path, counting, conditions={"free_cot": Condition(), "twin": Condition()}))
    assert len(rows) == 16
    assert sum(counting.asked.values()) == 8


def test_samples_have_seeds_of_their_own_and_greedy_has_none(tmp_path: Path) -> None:
    sampled = plan(job(tmp_path, sampling=Sampling(temperature=1.0, samples=3)))
    seeds = {(one.item.id, one.sample): one.request.seed for one in next(iter(sampled.values()))}
    assert len(set(seeds.values())) == 24
    assert {frozenset((one.item.id, one.sample, one.request.seed) for one in cell) for cell in sampled.values()} == {
        frozenset((item, sample, seed) for (item, sample), seed in seeds.items())
    }, "conditions share the seeds of an item"
    assert request_seed(0, "a", 0) == request_seed(0, "a", 0) != request_seed(1, "a", 0)
    assert {one.request.seed for one in next(iter(plan(job(tmp_path)).values()))} == {None}
    with pytest.raises(UserError, match=r"set sampling\.temperature above 0"):
        plan(job(tmp_path, sampling=Sampling(samples=2)))


def test_a_condition_can_have_samples_of_its_own(tmp_path: Path) -> None:
    this = job(tmp_path, sampling=Sampling(temperature=1.0), samples_of={"free_cot": 3})
    assert {cell.condition: len(planned) for cell, planned in plan(this).items()} == {"free_cot": 24, "json_schema": 8, "sham": 8}


def test_scoring_again_needs_no_engine_and_sees_a_changed_verdict(tmp_path: Path) -> None:
    this = job(tmp_path)
    rows = run(this)
    cell = this.cells[0]
    assert score(cell.folder(this.results), cell, this.tasks["addition"], CONDITIONS["free_cot"]) == rows[:8]
    as_json = score(cell.folder(this.results), cell, this.tasks["addition"], CONDITIONS["json_schema"])
    assert {row.status for row in as_json} == {"another_mark"}
    assert all(row.latent_correct and not row.correct for row in as_json)


def test_an_engine_error_is_a_row_and_not_a_crash(tmp_path: Path) -> None:

    rows = run(job(tmp_path, backend=Failing()))
    assert {row.status for row in rows} == {"engine_error"}
    assert len(rows) == 24
    assert {row.status for row in run(job(tmp_path))} == {"engine_error"}, "a second run leaves them alone"
    assert "engine_error" not in {row.status for row in run(replace(job(tmp_path), retry_errors=True))}, "unless it is told"


def slow_run(folder: Path) -> None:
    run(job(folder, slowly(adds, folder / "trace")))


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_kill_and_resume(tmp_path: Path, every: int) -> None:
    """kill -9 after every fourth request: nothing journalled is lost or repeated, at most the request in flight is run again.

    The long form kills after each; `test_kills.py` kills at random moments.
    """
    trace, kills = tmp_path / "trace", 0
    while killed_when(soon_after_more(trace, every), slow_run, tmp_path):
        kills += 1
    assert kills >= 3
    counts = Counter(asked(trace))
    assert len(counts) == 24
    assert counts.total() - 24 <= kills
    assert all(row.correct for row in run(job(tmp_path)))


def soon_after_more(trace: Path, count: int) -> Callable[[], bool]:
    """Whether so many requests have been asked since now, and 10 ms have passed: the next one is in flight."""
    before = len(asked(trace))

    def reached() -> bool:
        more = len(asked(trace)) >= before + count
        time.sleep(0.01 * more)
        return more

    return reached


class Barring(Scripted):
    """Bars every schema, as a sandbox does where one exceeds its limits."""

    def admit(self, backbone: Any, constraint: Constraint) -> dict[str, Any]:
        raise BarredError("schema 0a1b2c3d {...} is barred: it needs more than 10 s")


def test_a_barred_grammar_bars_its_cells_and_the_others_go_on(tmp_path: Path) -> None:
    config = composed("task=[capitals]", "condition=[free_cot,json_schema]", "limit=3", f"results={tmp_path}", "backend=scripted")
    job = replace(make_job(config), backend=Barring())
    rows = run(job)
    assert {row.condition for row in rows} == {"free_cot"}
    manifests = {path.parts[-3]: json.loads(path.read_text()) for path in tmp_path.rglob("manifest.json")}
    assert manifests["free_cot"]["status"] == "complete"
    assert manifests["json_schema"]["status"] == "barred"
    assert "needs more than 10 s" in manifests["json_schema"]["barred"]
    assert len(load_rows(tmp_path)) == 3, "the tables can be made"
    (line,) = barred_cells(tmp_path / config.name)
    assert line.startswith("smollm2_135m/capitals/json_schema/plain-seed0 is barred: schema 0a1b2c3d")
    assert len(run(replace(job, backend=Scripted()))) == 6, "run again with other limits, it is made up for"
    manifest = json.loads(next(tmp_path.rglob("json_schema/*/manifest.json")).read_text())
    assert (manifest["status"], "barred" in manifest) == ("complete", False)
    assert barred_cells(tmp_path / config.name) == []


def test_a_run_of_nothing_but_barred_cells_is_an_error(tmp_path: Path) -> None:
    config = composed("task=[capitals]", "condition=[json_schema]", "limit=3", f"results={tmp_path}", "backend=scripted")
    with pytest.raises(BarredError, match="every cell is barred, the first because schema 0a1b2c3d"):
        run(replace(make_job(config), backend=Barring()))
