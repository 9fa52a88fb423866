"""The examples run as they stand, and `import fmtbench` stays fast and light."""

from __future__ import annotations

import os
import resource
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import fmtbench
from tests.conftest import ROOT
from tests.made_rows import coins, made_rows

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
HEAVY = {"torch", "transformers", "pydantic", "pandas", "numpy", "hydra", "yaml", "outlines", "vllm"}


def run(name: str, folder: Path, *words: str) -> str:
    line = [sys.executable, str(ROOT / "examples" / f"{name}.py"), *words]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_running_from_python(tmp_path: Path) -> None:
    assert len(run("run_from_python", tmp_path).splitlines()) == 3
    assert len(list((tmp_path / "results" / "first").rglob("rows.parquet"))) == 2


def test_a_task_and_a_condition_of_ones_own(tmp_path: Path) -> None:
    assert run("own_task", tmp_path).splitlines()[2] == "What is twice 2? -> 4 True"
    said = run("own_condition", tmp_path)
    assert "15 words" in said
    assert "ok" in said.splitlines()[-1]


def test_reading_results(tmp_path: Path) -> None:
    made_rows({"free_cot": coins(0, 20), "json_schema": coins(1, 20)}).to_parquet(tmp_path / "rows.parquet")
    assert "items were solved freely and lost under json_schema" in run("read_results", tmp_path, str(tmp_path))


@pytest.mark.model
def test_embedding(capsys: pytest.CaptureFixture[str]) -> None:
    """In this process, which has its libraries loaded."""
    runpy.run_path(str(ROOT / "examples" / "embed.py"), run_name="__main__")
    near, far = (float(line.split()[0]) for line in capsys.readouterr().out.splitlines()[-2:])
    assert near > far


def test_every_example_is_run_and_short() -> None:
    assert {path.stem for path in EXAMPLES} == {"run_from_python", "own_task", "own_condition", "read_results", "embed"}
    for path in EXAMPLES:
        text = path.read_text()
        assert text.startswith('"""')
        assert len(text.splitlines()) <= 32


def test_importing_is_fast_and_loads_nothing_heavy() -> None:
    code = "import sys, time; t = time.perf_counter(); import fmtbench; print(time.perf_counter() - t, *sys.modules)"
    best = 1.0
    for _ in range(3):  # the machine may be busy
        seconds, *modules = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.split()
        assert not HEAVY & set(modules)
        best = min(best, float(seconds))
    assert best < 0.2


def test_the_list_of_commands_is_fast() -> None:
    """Processor time, since the machine may be busy."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [sys.executable, "-X", "importtime", "-m", "fmtbench", "--help"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert not any(f"| {name}\n" in done.stderr for name in HEAVY)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.3


def test_every_public_name_is_there_and_listed() -> None:
    for name in fmtbench.__all__:
        assert getattr(fmtbench, name) is not None
    assert set(fmtbench.__all__) <= set(dir(fmtbench))
    with pytest.raises(AttributeError, match="no attribute 'Nobody'"):
        fmtbench.Nobody  # noqa: B018


@pytest.mark.parametrize(("group", "name"), [("condition", "json_shema"), ("task", "gsm"), ("prompt", "plane"), ("model", "gpt")])
def test_an_unknown_preset_is_named_with_those_there_are(group: str, name: str) -> None:
    with pytest.raises(fmtbench.UserError, match="allowed are "):
        getattr(fmtbench, group)(name)


def test_presets_are_those_of_the_commands(conditions: dict[str, object], tmp_path: Path) -> None:
    assert {name: fmtbench.condition(name) for name in conditions} == conditions
    assert fmtbench.condition("restricted_cot_25", words=15).words == 15
    assert fmtbench.task("gsm8k", data_root=tmp_path).source.data_root == str(tmp_path)  # type: ignore[attr-defined]
