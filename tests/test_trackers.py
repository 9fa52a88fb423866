"""A run told live: what a tracker hears, and each library's own word on what it was told."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from experiments.starting.build import build
from fmtbench.errors import UserError
from fmtbench.trackers import base
from fmtbench.trackers.base import library
from fmtbench.trackers.live import Live, live
from fmtbench.types import Generation, Row
from tests.commanding import command
from tests.conftest import ROOT, composed, options


class Notebook:
    """A tracker that writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def start(self, experiment: str, name: str, settings: Mapping[str, Any]) -> None:
        self.heard.append(("start", experiment, name, dict(settings)))

    def log(self, values: Mapping[str, float], step: int) -> None:
        self.heard.append((step, dict(values)))

    def finish(self, *, ok: bool) -> None:
        self.heard.append(("finish", ok))


def generation(k: int) -> Generation:
    return Generation(key=str(k), text="x", token_ids=(1,) * k, finish_reason="error" if k == 3 else "stop")


def row(correct: bool, status: Any = "ok", **changes: Any) -> Row:
    plain: dict[str, Any] = {
        **{"experiment": "e", "backbone": "b", "task": "t", "condition": "c", "prompt": "p", "seed": 0, "sample": 0},
        **{
            "item_id": "1",
            "question": "q",
            "gold": "1",
            "answer": "1",
            "marked_answer": "1",
            "marked_correct": True,
            "latent_answer": "1",
            "latent_correct": True,
        },
        **{"finish_reason": "stop", "prompt_tokens": 1, "completion_tokens": 4, "reasoning_tokens": 1, "reasoning_words": 1},
        **{"text": "1", "request_key": "k", "seconds": 0.1},
    }
    return Row(**plain | {"correct": correct, "status": status} | changes)


def test_streams_pass_whole_and_are_counted_together() -> None:
    tracker, shown = Notebook(), []

    def watch(total: int, stream: Any) -> Iterator[Generation]:
        shown.append(total)
        yield from stream

    with live(tracker, "e", "b", {"seed": 0}, watch) as watched:
        assert [one.key for one in watched(2, map(generation, (1, 2)))] == ["1", "2"]
        assert [one.key for one in watched(1, map(generation, (3,)))] == ["3"]
        watched.scores([row(True), row(False, "truncated", completion_tokens=8), row(True, condition="d")])
    start, first, second, scores, finish = tracker.heard
    assert shown == [2, 1]
    assert start == ("start", "e", "b", {"seed": 0})
    assert {**first[1], "tokens_per_second": 0} == {"done": 2, "tokens": 3, "errors": 0, "tokens_per_second": 0}
    assert {**second[1], "tokens_per_second": 0} == {"done": 3, "tokens": 6, "errors": 1, "tokens_per_second": 0}
    assert [first[0], second[0], scores[0]] == [2, 3, 3]
    half = {"strict": 0.5, "marked": 1.0, "latent": 1.0, "ok": 0.5, "tokens": 6.0}
    whole = {"strict": 1.0, "marked": 1.0, "latent": 1.0, "ok": 1.0, "tokens": 4.0}
    named = {f"t/{name}/p-seed0/{key}": value for name, values in (("c", half), ("d", whole)) for key, value in values.items()}
    assert scores[1] == named
    assert finish == ("finish", True)


def test_it_is_told_while_the_run_goes_on() -> None:
    tracker = Notebook()
    watched = Live(tracker, lambda total, stream: stream, every=0)
    stream = watched(3, map(generation, (1, 2, 3)))
    next(stream)
    assert [step for step, _ in tracker.heard] == [1]


def test_a_run_that_ends_in_an_error_is_closed_as_failed() -> None:
    tracker = Notebook()
    with pytest.raises(UserError), live(tracker, "e", "b", {}, lambda total, stream: stream):
        raise UserError("no")
    assert tracker.heard[-1] == ("finish", False)


@pytest.mark.parametrize("name", options("tracker"))
def test_every_tracker_builds_without_its_library(name: str) -> None:
    assert build(composed(f"tracker={name}").tracker, "tracker")


def test_nobody_is_told_by_default() -> None:
    assert isinstance(build(composed().tracker, "tracker"), base.NoTracker)


@pytest.mark.parametrize("name", ["mlflow", "wandb", "trackio"])
def test_a_missing_library_is_one_line_before_anything_runs(name: str, tmp_path: Path) -> None:
    try:
        library(name)
    except UserError:
        done = command("run", f"tracker={name}", "backend=scripted", f"results={tmp_path}")
        assert done.code == 2
        assert done.err == f"error: tracker={name} needs a package that is not installed: pip install 'fmtbench[{name}]'\n"
        assert not list(tmp_path.rglob("generations.jsonl"))
    else:
        pytest.skip(f"{name} is installed")


# -- the libraries themselves, where they are installed

RUN = """\
import sys
from experiments.starting.build import build
from fmtbench.trackers.live import live
from tests.conftest import composed
from tests.test_trackers import generation, row
tracker = build(composed(*sys.argv[1:]).tracker, "tracker")
with live(tracker, "study", "backbone", {"seed": 7}, lambda total, stream: stream) as watch:
    list(watch(2, map(generation, (1, 2))))
    watch.scores([row(True)])
"""


def run_tracked(tmp_path: Path, *overrides: str, **environment: str) -> None:
    """In a process of its own: these libraries keep what is open in their modules, and some leave threads."""
    path = os.pathsep.join([str(ROOT), *sys.path])
    variables = os.environ | {"PYTHONPATH": path, "TRACKIO_DIR": str(tmp_path / "trackio")} | environment
    done = subprocess.run([sys.executable, "-c", RUN, *overrides], cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_mlflow_has_the_run(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    uri = f"sqlite:///{tmp_path / 'runs.db'}"
    run_tracked(tmp_path, "tracker=mlflow", f"tracker.uri={uri}")
    name, status, params, metrics = asked(ASK_MLFLOW, uri)
    assert (name, status, params, still(metrics)) == ("backbone", "FINISHED", {"seed": "7"}, METRICS)


def test_wandb_has_the_run_offline(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    run_tracked(tmp_path, "tracker=wandb", f"tracker.folder={tmp_path}")
    (file,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    project, name, values = asked(ASK_WANDB, str(file))
    assert (project, name) == ("study", "backbone")
    assert still({key: value for key, value in values.items() if key[0] != "_"}) == METRICS


def test_trackio_has_the_run(tmp_path: Path) -> None:
    pytest.importorskip("trackio")
    run_tracked(tmp_path, "tracker=trackio")
    name, values = asked(ASK_TRACKIO, str(tmp_path / "trackio"))
    assert name == "backbone"
    assert still({key: values[key] for key in METRICS}) == METRICS


def still(metrics: dict[str, float]) -> dict[str, float]:
    """Less the one number that no test can know."""
    assert metrics["tokens_per_second"] > 0
    return metrics | {"tokens_per_second": 0}


METRICS = {"done": 2, "tokens": 3, "errors": 0, "tokens_per_second": 0, "t/c/p-seed0/tokens": 4.0} | {
    f"t/c/p-seed0/{name}": 1.0 for name in ("strict", "latent", "ok")
}
ASK_MLFLOW = """
import json, mlflow, sys
mlflow.set_tracking_uri(sys.argv[1])
(run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
print(json.dumps([run.info.run_name, run.info.status, run.data.params, run.data.metrics]))
"""
ASK_WANDB = """
import json, sys
from pathlib import Path
from wandb.proto.wandb_internal_pb2 import Record
data, values, run = Path(sys.argv[1]).read_bytes()[7:], {}, None  # one block of a LevelDB log: checksum, length, type
while data:
    length = int.from_bytes(data[4:6], "little")
    record, data = Record.FromString(data[7 : 7 + length]), data[7 + length :]
    values |= {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
    run = record.run if record.HasField("run") else run
print(json.dumps([run.project, run.display_name, values]))
"""
ASK_TRACKIO = """
import json, os, sys
os.environ["TRACKIO_DIR"] = sys.argv[1]
from trackio.sqlite_storage import SQLiteStorage
(name,) = SQLiteStorage.get_runs("study")
print(json.dumps([name, {key: value for log in SQLiteStorage.get_logs("study", name) for key, value in log.items()}]))
"""


def asked(code: str, *words: str) -> Any:
    """What a library itself says, from a process of its own."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
