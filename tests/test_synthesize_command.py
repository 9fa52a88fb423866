"""`experiments.synthesize` as a user meets it: with the real model, and every mistake in one line."""

import json
import re
from pathlib import Path

import pytest

from experiments.synthesize import make_synthesis
from fmtbench.errors import UserError
from tests.commanding import command, imported, process
from tests.conftest import composed

LOOSE = [
    "backbone.dtype=float32", "seed=3", "languages=[English]", "synthesis.temperature=0.6",
    "synthesis.triple.chars.positive.least=20", "synthesis.triple.chars.negative.least=20",
]  # fmt: skip
"""So that a small model keeps something within few requests; in float32, which is fast on every processor."""
SHORT = ["tasks=1", "triples=1", "attempts=1", "synthesis.brainstorm.count=2", "synthesis.brainstorm.max_tokens=64"]
LONG = ["tasks=2", "triples=4", "attempts=4", "synthesis.brainstorm.count=2", "synthesis.brainstorm.max_tokens=96"]


@pytest.mark.model
@pytest.mark.parametrize(
    ("amount", "tasks", "triples"),
    [
        pytest.param([*SHORT, "synthesis.triple.max_tokens=96"], 1, 1, id="short"),
        pytest.param([*LONG, "synthesis.triple.max_tokens=128"], 2, 4, id="long", marks=pytest.mark.slow),
    ],
)
def test_the_real_model(tmp_path: Path, amount: list[str], tasks: int, triples: int) -> None:
    out = tmp_path / "out"
    done = command("synthesize", f"output={out}", *LOOSE, *amount)
    assert done.code in (0, 1), done.err
    manifest = json.loads((out / "manifest.json").read_text())
    assert "outlines_core" in manifest["grammars"][0]["decoder"]
    for step, count in manifest["counts"].items():
        assert count["written"] == sum(count.values()) - count["requests"] - count["written"], step
        assert not count["schema_violation"], "what is masked and ends keeps the schema"
        assert not count["engine_error"]
    assert manifest["counts"]["tasks"]["kept"] == tasks
    rejected = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    kept = [json.loads(line) for line in (out / "triples.jsonl").read_text().splitlines()]
    counts = manifest["counts"]["triples"]
    assert counts["written"] == len(kept) + sum(one["id"].startswith("triple/") for one in rejected) >= triples
    assert "| kept" in done.out
    journal = (out / "generations.jsonl").read_bytes()
    again = process("synthesize", f"output={out}", *LOOSE, *amount)
    assert (again.code, again.out) == (done.code, done.out)
    assert (out / "generations.jsonl").read_bytes() == journal
    assert "torch" not in imported(again), "nothing is missing, so nothing is loaded"


def test_help_reads_like_a_page_and_imports_no_engine() -> None:
    done = command("synthesize", "--help")
    assert done.code == 0
    assert all(word in done.out for word in ("python -m experiments.synthesize", "short_long", "smollm2_135m", "triples.jsonl"))
    done = process("synthesize", "--cfg", "job")
    assert done.code == 0
    assert "torch" not in imported(done)


def test_without_a_model_nothing_is_kept_and_the_table_says_why(tmp_path: Path) -> None:
    done = command("synthesize", "backend=scripted", f"results={tmp_path}")
    assert done.code == 1
    assert re.search(r"^\| empty +\| +100 \|", done.out, re.M)
    assert done.err.splitlines()[-1].startswith("error: nothing was kept: ")


MISTAKES: list[tuple[list[str], str]] = [
    (["tasks=0"], r"tasks=0: give a number above 0"),
    (["triples=0"], r"triples=0: give a number above 0"),
    (["triple=3"], r"triple is no key .* did you mean triples\?"),
    (["task=3"], r"a group is chosen by name, .* --help"),
    (["languages=[Klingon]"], r"language 'Klingon' is not known: allowed are Arabic, .*Korean.* add others to synthesis\.known"),
    (["backbone.context=700"], r"backbone=smollm2_135m is too .* prompt tokens and 768 new ones exceed the context of 700;"),
    (["output=/proc/nowhere"], r"output=/proc/nowhere: cannot write"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=[case[0][0] for case in MISTAKES])
def test_a_mistake_ends_in_one_line_before_any_weights_are_loaded(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = command("synthesize", f"results={tmp_path}", *arguments)
    assert done.code == 2, done.err
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
    command("synthesize", "backend=scripted", f"output={tmp_path}")
    done = command("synthesize", "backend=scripted", f"output={tmp_path}", "seed=5")
    assert done.code == 2
    assert f"output={tmp_path} holds triples of another recipe (seed): give another output=" in done.error
