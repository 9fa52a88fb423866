"""`experiments.synthesize` as a user meets it: with the real model, and every mistake in one line."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.synthesize import make_synthesis
from fmtbench.errors import UserError
from tests.commanding import command
from tests.conftest import ROOT, composed


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-X", "importtime", "-m", "experiments.synthesize", *arguments]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "COLUMNS": "200"}
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)


def messages(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stderr.splitlines() if not line.startswith("import time:")]


@pytest.mark.model
def test_the_real_model(tmp_path: Path) -> None:
    """Loose bounds, so that a small model keeps something within few requests."""
    out = tmp_path / "out"
    words = (
        f"output={out}", "tasks=2", "triples=4", "attempts=4", "seed=1", "languages=[English]", "synthesis.temperature=0.3",
        "synthesis.brainstorm.count=2", "synthesis.brainstorm.max_tokens=96", "synthesis.triple.max_tokens=128",
        "synthesis.triple.chars.positive.least=20", "synthesis.triple.chars.negative.least=20",
    )  # fmt: skip
    done = run(*words)
    assert done.returncode in (0, 1), done.stderr[-2000:]
    manifest = json.loads((out / "manifest.json").read_text())
    assert "outlines_core" in manifest["grammars"][0]["decoder"]
    for step, count in manifest["counts"].items():
        assert count["written"] == sum(count.values()) - count["requests"] - count["written"], step
        assert not count["schema_violation"], "what is masked and ends keeps the schema"
        assert not count["engine_error"]
    assert manifest["counts"]["tasks"]["kept"] == 2
    rejected = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    triples = [json.loads(line) for line in (out / "triples.jsonl").read_text().splitlines()]
    counts = manifest["counts"]["triples"]
    assert counts["written"] == len(triples) + sum(one["id"].startswith("triple/") for one in rejected) >= 4
    assert "| kept" in done.stdout
    journal = (out / "generations.jsonl").read_bytes()
    again = run(*words)
    assert (again.returncode, again.stdout) == (done.returncode, done.stdout)
    assert (out / "generations.jsonl").read_bytes() == journal
    assert "| torch\n" not in again.stderr, "nothing is missing, so nothing is loaded"


def test_help_reads_like_a_page_and_imports_no_engine() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert all(
        word in done.stdout for word in ("python -m experiments.synthesize", "short_long", "smollm2_135m", "triples.jsonl")
    )
    done = run("--cfg", "job")
    assert done.returncode == 0
    assert "| torch\n" not in done.stderr


def test_without_a_model_nothing_is_kept_and_the_table_says_why(tmp_path: Path) -> None:
    done = run("backend=scripted", f"results={tmp_path}")
    assert done.returncode == 1
    assert re.search(r"^\| empty +\| +100 \|", done.stdout, re.M)
    assert messages(done)[-1].startswith("error: nothing was kept: ")


MISTAKES: list[tuple[list[str], str]] = [
    (["tasks=0"], r"tasks=0: give a number above 0"),
    (["triples=0"], r"triples=0: give a number above 0"),
    (["triple=3"], r"triple is no key .* did you mean triples\?"),
    (["task=3"], r"a group is chosen by name, .* --help"),
    (["languages=[Klingon]"], r"language 'Klingon' is not known: allowed are Arabic, .*Korean.* add others to synthesis\.known"),
    (["backbone.context=700"], r"backbone=smollm2_135m is too .* prompt tokens and 768 new ones exceed the context of 700;"),
    (["output=/proc/nowhere"], r"cannot write to /proc/nowhere"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=[case[0][0] for case in MISTAKES])
def test_a_mistake_ends_in_one_line_before_any_weights_are_loaded(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = command("synthesize", f"results={tmp_path}", *arguments)
    assert done.code == 2, done.err[-2000:]
    assert done.error.startswith("error: ")
    assert re.search(message, done.error), done.error
    assert not list(tmp_path.rglob("generations.jsonl"))


VALUES: list[tuple[str, str]] = [
    ("attempts=0", r"attempts=0: give a number above 0"),
    ("languages=[]", r"synthesis\.languages: .*at least 1 item"),
    ("synthesis.temperature=0", r"synthesis\.temperature: .*greater than 0"),
    ("synthesis.similarity=2", r"synthesis\.similarity: .*less than or equal to 1"),
    (
        "synthesis.triple.prompt='About {task} for {whom}'",
        r"synthesis\.triple: the prompt holds \{whom\}, .* it may hold clarity, ",
    ),
    ("synthesis.triple.prompt='About {task}'", r"synthesis\.triple: the prompt does not hold \{clarity\}"),
    ("synthesis.brainstorm.prompt='{count} about {topic}'", r"synthesis\.brainstorm: the prompt does not hold \{examples\}"),
    ("synthesis.triple.chars.query.least=9000", r"synthesis\.triple\.chars\.query: least=9000 is above most=400"),
    ("~synthesis.triple.chars.query", r"synthesis\.triple\.chars: needs bounds of query, positive, negative"),
    ("synthesis.triple.attributes.clarity=[]", r"synthesis\.triple\.attributes\.clarity: .*at least 1 item"),
    ("decoder=magic", r"backend\.decoder: .*'outlines', .*got 'magic'"),
]


@pytest.mark.parametrize(("argument", "message"), VALUES, ids=[case[0] for case in VALUES])
def test_a_wrong_value_is_named(argument: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_synthesis(composed(argument, root="synthesize"))


def test_a_folder_of_another_recipe(tmp_path: Path) -> None:
    run("backend=scripted", f"output={tmp_path}")
    done = run("backend=scripted", f"output={tmp_path}", "seed=5")
    assert (done.returncode, len(messages(done))) == (2, 1)
    assert f"output={tmp_path} holds triples of another recipe (seed): give another output=" in messages(done)[0]
