"""More than one process: the same cells, shards, and the launchers that are installed."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from experiments.run import in_shard, make_job
from fmtbench.store.folder import RunFolder
from tests.commanding import command
from tests.conftest import ROOT, composed, options
from tests.http_server import Answer, Body, obedient, serving

NO_SUBMITIT = pytest.mark.skipif(find_spec("submitit") is None, reason="needs pip install 'fmtbench[slurm]'")
NO_RAY = pytest.mark.skipif(find_spec("ray") is None, reason="needs pip install 'fmtbench[ray]', in an environment of its own")
SMALL = ("backend=scripted", "task=[addition]", "limit=3", "name=x")


def start(*arguments: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "experiments.run", *arguments]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(words, cwd=ROOT, env=os.environ | {"HF_HUB_OFFLINE": "1"}, **pipes)


def finished(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def rows_under(folder: Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path) for path in folder.rglob("rows.parquet")])


# -- two processes that meet


def test_two_workers_share_the_cells_and_do_none_twice(tmp_path: Path) -> None:
    """The second comes while the first is busy, does the cell that only it has, waits, and finds the others done."""
    second_waits = threading.Event()

    def chat(body: Body) -> Answer:
        if "JSON" not in body["messages"][0]["content"] and "response_format" not in body:
            second_waits.wait(120)
        return obedient(body)

    with serving(chat) as seen:
        common = ["backend=server", "backbone=served", "backend.dialect=openai", f"backend.url={seen.url}"]
        common += [f"results={tmp_path}", "task=[addition]", "limit=12", "name=x"]
        first = start(*common, "condition=[free_cot,direct]")
        while len(seen.bodies) < 3:
            assert first.poll() is None, first.communicate()[1]
            time.sleep(0.02)
        second = start(*common, "condition=[json_prompt,direct,free_cot]")
        assert second.stderr is not None
        assert "2 cells are being written by another process, such as" in second.stderr.readline()
        while sum("JSON" in question for question in seen.questions()) < 12:
            assert second.poll() is None, second.communicate()[1]
            time.sleep(0.02)
        second_waits.set()
        one, two = finished(first), finished(second)
        asked = Counter(question for question in seen.questions() if question != "Say hello.")
    assert (one.returncode, two.returncode) == (0, 0), one.stderr + two.stderr
    assert set(asked.values()) == {1}
    assert len(asked) == 3 * 12
    assert "2 cells, 24 requests, 0 to generate" in two.stderr, "the first had done them"
    rows = rows_under(tmp_path)
    assert len(rows) == 36
    assert not rows.duplicated(["condition", "item_id"]).any()


def test_a_cell_of_a_killed_worker_is_taken_over(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "x" / "smollm2_135m" / "addition" / "direct" / "plain-seed0")
    with folder:
        waiting = start(*SMALL, f"results={tmp_path}", "condition=[direct]")
        assert waiting.stderr is not None
        assert "1 cells are being written by another process, such as" in waiting.stderr.readline()
    done = finished(waiting)
    assert done.returncode == 0, done.stderr
    assert "3 to generate" in done.stderr


# -- shards


def test_shards_are_a_partition() -> None:
    everything = make_job(composed("task=[addition,capitals]", "prompt=[plain,exam]")).cells
    parts = [
        make_job(composed("task=[addition,capitals]", "prompt=[plain,exam]", "shards=3", f"shard={i}")).cells for i in range(3)
    ]
    assert sorted(map(str, [cell for part in parts for cell in part])) == sorted(map(str, everything))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert all(len({cell.condition for cell in part}) > 1 for part in parts)
    assert in_shard(list(everything), 0, 1) == list(everything)


@pytest.mark.parametrize(
    ("shard", "shards", "message"),
    [(3, 3, "shard=3 of shards=3: "), (-1, 2, "shard=-1 of shards=2: "), (0, 0, "shards=0: give a number above 0")],
)
def test_a_shard_that_is_none(shard: int, shards: int, message: str) -> None:
    done = command("run", *SMALL, f"shard={shard}", f"shards={shards}")
    assert done.code == 2
    assert message in done.error


def test_more_shards_than_cells(tmp_path: Path) -> None:
    for shard in (0, 1):
        done = command("run", *SMALL, "condition=[direct]", f"results={tmp_path}", "shards=2", f"shard={shard}")
        assert done.code == 0, done.err
    assert len(rows_under(tmp_path)) == 3


# -- sweeps and launchers


def test_a_bad_job_does_not_end_the_others(tmp_path: Path) -> None:
    done = command("run", "-m", *SMALL, f"results={tmp_path}", "condition=[direct]", "sampling.samples=2,1")
    assert done.code == 2
    assert done.err.splitlines()[-1].startswith("error: 2 samples at temperature 0")
    assert "Traceback" not in done.err
    assert len(rows_under(tmp_path)) == 3


@pytest.mark.parametrize("name", options("hydra/launcher"))
def test_a_launcher_that_is_not_installed_names_the_command(name: str, tmp_path: Path) -> None:
    extra = "ray" if name == "ray" else "slurm"
    if find_spec("ray" if name == "ray" else "submitit") is not None:
        pytest.skip("it is installed")
    done = command("run", "-m", *SMALL, f"results={tmp_path}", f"hydra/launcher={name}", "seed=0,1")
    assert done.code == 2
    assert f"pip install 'fmtbench[{extra}]'" in done.error


def check_sweep(tmp_path: Path, *launcher: str) -> None:
    """Four shards of five cells, one of them broken at first; then again, as a resume."""
    sweep = ("-m", *SMALL, f"results={tmp_path}", *launcher, "shards=2", "shard=0,1")
    broken = finished(start(*sweep, "sampling.samples=1,2"))
    assert broken.returncode == 2, broken.stderr
    assert broken.stderr.splitlines()[-1].startswith("error: 2 samples at temperature 0"), broken.stderr
    assert "Traceback" not in broken.stderr
    rows = rows_under(tmp_path)
    assert Counter(rows.condition) == dict.fromkeys(composed().condition, 3)
    journals = {path: path.read_bytes() for path in tmp_path.rglob("generations.jsonl")}
    again = finished(start(*sweep))
    assert again.returncode == 0, again.stderr
    assert journals == {path: path.read_bytes() for path in tmp_path.rglob("generations.jsonl")}


@pytest.mark.slow
@NO_SUBMITIT
def test_submitit_on_this_machine(tmp_path: Path) -> None:
    check_sweep(tmp_path, "hydra/launcher=submitit_local")
    logs = "".join(path.read_text() for path in (tmp_path / ".submitit").rglob("*_log.err"))
    assert "requests, 0 to generate" in logs
    assert "error: 2 samples at temperature 0" in logs


@NO_SUBMITIT
def test_slurm_takes_every_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What submitit would hand to sbatch, without a cluster: it refuses a setting that it does not know."""
    from hydra import compose, initialize_config_dir
    from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
    from submitit import AutoExecutor
    from submitit.slurm.slurm import _make_sbatch_string

    (tmp_path / "srun").write_text("#!/bin/sh\n")
    (tmp_path / "srun").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    composed()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"), pytest.warns(UserWarning, match="validated against"):
        config = compose("run", overrides=["hydra/launcher=submitit_slurm"], return_hydra_config=True)
    settings = {str(name): value for name, value in config.hydra.launcher.items() if name != "_target_"}
    assert settings["submitit_folder"] == "results/.submitit/%j"
    executor = AutoExecutor(folder=str(tmp_path), cluster="slurm", slurm_max_num_timeout=settings.pop("max_num_timeout"))
    settings.pop("submitit_folder")
    shared = {name: value for name, value in settings.items() if hasattr(BaseQueueConf, name)}
    executor.update_parameters(**shared, **{f"slurm_{name}": value for name, value in settings.items() if name not in shared})
    script = _make_sbatch_string(command="true", folder=str(tmp_path), **executor._executor.parameters)
    assert "--gpus-per-node=1" in script
    assert "--signal=USR2@120" in script or "--signal=USR1@120" in script


@pytest.mark.slow
@NO_RAY
def test_ray_on_this_machine(tmp_path: Path) -> None:
    check_sweep(tmp_path, "hydra/launcher=ray", "hydra.launcher.ray.remote.num_gpus=0")
