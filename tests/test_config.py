"""Every YAML composes and builds without a model; every mistake ends in one line that helps."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from experiments.run import make_job
from experiments.starting.build import build, build_group
from experiments.starting.conf import options_of
from experiments.starting.roots import ROOTS
from experiments.starting.unchosen import leave_unchosen
from tests.commanding import Ended, command, imported, in_one_process, process
from tests.conftest import composed, options


@pytest.mark.parametrize("name", options_of("run", "experiment"))
def test_every_experiment_makes_a_job(name: str) -> None:
    config = composed(f"experiment={name}", "data_root=somewhere")
    leave_unchosen(config, [])
    assert config.name == name
    assert len(make_job(config).cells) == len(config.task) * len(config.condition) * len(config.prompt)


@pytest.mark.parametrize("group", ["task", "condition", "prompt"])
def test_every_option_of_a_list_group_builds_under_its_own_name(group: str) -> None:
    config = composed(f"{group}=[{','.join(options(group))}]")
    assert list(config[group]) == options(group)
    assert list(build_group(config[group])) == options(group)


@pytest.mark.parametrize("name", options("backbone"))
def test_every_backbone_builds(name: str) -> None:
    overrides = ["backbone.path=/somewhere"] if name == "local" else []
    assert build(composed(f"backbone={name}", *overrides).backbone, "backbone").name == name


@pytest.mark.parametrize("name", options("backend"))
def test_every_backend_builds(name: str) -> None:
    assert build(composed(f"backend={name}").backend, "backend")


@pytest.mark.parametrize("name", options("sampling"))
def test_every_sampling_is_whole(name: str) -> None:
    assert make_job(composed(f"sampling={name}"))


def test_showing_the_config_imports_no_engine() -> None:
    done = process("run", "--cfg", "job")
    assert done.code == 0
    assert "json_schema:" in done.out
    assert not imported(done)


MISTAKES: list[tuple[list[str], str]] = [
    (["task=[capitalz]"], r"task=capitalz is no option .* did you mean capitals\? allowed are addition, "),
    (["backbone=gpt5"], r"backbone=gpt5 is no option .* allowed are .*smollm2_135m"),
    (["experiment=quickstrat"], r"did you mean quickstart\?"),
    (["limt=3"], r"limt is no key .* did you mean limit\?"),
    (["tasks=[capitals]"], r"tasks is no key .* did you mean task\?"),
    (["task.capitals.sed=3"], r"task\.capitals\.sed is no key"),
    (["sampling.max_token=3"], r"sampling\.max_token is no key .* did you mean max_tokens\?"),
    (["limit=many"], r"limit.*many.*"),
    (["limit=0"], r"limit=0: give a number above 0"),
    (["limit=-4"], r"limit=-4: give a number above 0"),
    (["sampling.max_tokens=0"], r"sampling\.max_tokens=0"),
    (["sampling.samples=2"], r"set sampling\.temperature above 0"),
    (["+samples_of.free_cot=2"], r"2 samples at temperature 0"),
    (["+samples_of.free=2"], r"samples_of\.free=2: give one of the conditions \(free_cot, .*\) a number above 0"),
    (["+samples_of.free_cot=0"], r"samples_of\.free_cot=0"),
    (["task=[]"], r"no task is chosen"),
    (["task.addition.digits=9"], r"addition\.digits: .*less than or equal to 3, got 9"),
    (["task.addition.digits=two"], r"addition\.digits: .*got 'two'"),
    (["condition.free_cot.reasoning=loud"], r"free_cot\.reasoning: .*'none', 'free', 'budget', 'staged' or 'draft', got 'loud'"),
    (["+condition.free_cot.words=25"], r"reasoning=free contradicts words=25"),
    (["+condition.free_cot.order=answer_only"], r"reasoning=free contradicts order=answer_only"),
    (["+condition.json_schema.answer_field=reasoning"], r"are not all different"),
    (["name=../../elsewhere"], r"'\.\./\.\./elsewhere' cannot be a folder name"),
    (["task=[gsm8k]", "data_root=/no/such/folder"], r"/no/such/folder/gsm8k/test\.0-799\.jsonl does not exist"),
    (["backbone=local"], r"backbone\.path"),
    (["backbone=local", "backbone.path=/no/such/model"], r"/no/such/model does not exist"),
    (["results=/proc/nowhere"], r"cannot write to /proc/nowhere"),
    (["decoder=magic"], r"backend\.decoder: .*'outlines', .*got 'magic'"),
    (["task=["], r"\S"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=lambda value: value[-1] if isinstance(value, list) else "")
def test_a_mistake_ends_in_one_line_before_any_model_is_loaded(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = command("run", *([] if any(a.startswith("results=") for a in arguments) else [f"results={tmp_path}"]), *arguments)
    assert done.code == 2
    assert done.error.startswith("error: ")
    assert re.search(message, done.error), done.error
    assert not list(tmp_path.rglob("generations.jsonl"))


MISTAKE_OF_EACH: dict[str, tuple[list[str], str]] = {
    "audit": ([], "run= is missing: give a run folder, or any folder above some"),
    "bench": (["pairs=few"], "pairs.*few"),
    "catalogue": (["x"], "x: catalogue takes no arguments"),
    "coverage": (["limit=0"], "limit=0: give a number above 0"),
    "decoders": (["walks=-1"], "walks=-1: give a whole number"),
    "doctor": ([], "no task is chosen: give one whose answers are records"),
    "embed": (["output=x"], "give exactly one of texts=FILE"),
    "export": (["output=x", "format=lm_eval"], "results= is missing: give a results folder"),
    "lockin": ([], "give results=FOLDER"),
    "lint": (["limit=0"], "limit=0: give a number above 0"),
    "notebooks": (["results=/no/where"], "results=/no/where is no folder"),
    "plan": (["pilot=/no/where"], "pilot=/no/where holds no results"),
    "rescore": (["answer=number", "output=x"], "transcripts= is missing: give JSON lines"),
    "run": (["limit=0"], "limit=0: give a number above 0"),
    "score": ([], "give results=FOLDER"),
    "simulate": (["rounds=0"], "rounds=0: give a number above 0"),
    "synthesize": (["tasks=0"], "tasks=0: give a number above 0"),
    "tables": (["results=x", "draws=3"], "draws=3: give a whole number"),
    "train": (["train_data=stsb"], "output= is missing: give a folder for the encoder"),
    "verify": ([], "results= is missing: give an experiment's results folder"),
}


@pytest.fixture(scope="module")
def mistaken() -> dict[str, Ended]:
    """What each command made of its mistake, one after the other in a process of their own."""
    return in_one_process({name: arguments for name, (arguments, _) in MISTAKE_OF_EACH.items()})


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.model if name == "plan" else ()) for name in sorted(ROOTS)]
)
def test_a_mistake_is_one_line_of_a_process_that_loads_no_torch(mistaken: dict[str, Ended], name: str) -> None:
    """None of them before it has loaded torch either, since they share their process."""
    _, message = MISTAKE_OF_EACH[name]
    done = mistaken[name]
    assert done.code == 2
    assert done.error.startswith("error: ")
    assert re.search(message, done.error), done.error
    assert "torch" not in done.imported


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed")
def test_vllm_that_is_not_installed_names_the_commands(tmp_path: Path) -> None:
    done = command("run", f"results={tmp_path}", "backend=vllm")
    assert done.code == 2
    assert "pip install 'fmtbench[vllm]'" in done.error
    assert "make vllm-cpu" in done.error


def test_auto_says_which_engine_it_takes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    backend = build(composed("backend=auto").backend, "backend")
    assert f"backend=auto: {backend.__class__.__name__.lower()}" in caplog.text


def test_every_is_all_of_a_group() -> None:
    config = composed("task=[every]", "condition=[every]", "prompt=[every]")
    assert [list(config[group]) for group in ("task", "condition", "prompt")] == [
        options(group) for group in ("task", "condition", "prompt")
    ]


def test_lists_and_multirun_give_the_same_results_in_the_same_places(tmp_path: Path) -> None:
    import pandas as pd

    common = ["backend=scripted", "task=[addition]", "limit=3", "name=x"]
    assert command("run", *common, "condition=[free_cot,json_schema]", f"results={tmp_path / 'list'}").code == 0
    done = command("run", "-m", *common, "condition=free_cot,json_schema", f"results={tmp_path / 'comma'}")
    assert done.code == 0, done.err[-2000:]
    one, other = (sorted((tmp_path / way).rglob("rows.parquet")) for way in ("list", "comma"))
    assert [path.relative_to(tmp_path / "list") for path in one] == [path.relative_to(tmp_path / "comma") for path in other]
    for a, b in zip(one, other):
        pd.testing.assert_frame_equal(pd.read_parquet(a), pd.read_parquet(b))
    assert (tmp_path / "list" / "x" / "accuracy.csv").read_text() == (tmp_path / "comma" / "x" / "accuracy.csv").read_text()


RESCORE: list[tuple[str, list[str], str]] = [
    (
        '{"text": "The answer is 18.", "gold": "18"}',
        ["answer=numbr"],
        r"answer=numbr: allowed are number, yes_no, text, math, set, choice, label",
    ),
    (
        '{"text": "The answer is 18.", "gold": "18"}',
        ["format=html"],
        r"format=html: allowed are text, tool, json, xml, yaml, toml, markdown, csv, auto",
    ),
    ('{"text": "The answer is 18."}', [], r"row 1, field 'gold'"),
    ('{"text": 3.5, "gold": [1]}', [], r"row 1, field 'text': 3.5 is no text"),
    ('{"text": "x", "gold": "many"}', [], r"row 1, field 'gold': 'many' is no number"),
    ('{"text": "x", "gold": "B"}', ["answer=choice"], r"row 1, field 'choices'"),
    ('{"text": "x", "gold": "1", "id": "a"}\n{"text": "x", "gold": "1", "id": "a"}', ["strict_input=true"], r"row 2, field 'id'"),
    ("", [], r"holds no transcripts"),
    ('{"text": "x", "gold": "B", "choices": {"A": "red"}}', ["answer=choice"], r"row 1, field 'choices': .* two options or more"),
    ('{"text": "x", "gold": "C", "choices": {"A": "red", "B": "blue"}}', ["answer=choice"], r"field 'gold': 'C' .* options are"),
    (
        '{"text": "x", "gold": "B", "choices": {"A": "red", "C": "blue"}}',
        ["answer=choice"],
        r"letters must be A, B, in any order, got A, C",
    ),
    ('{"text": "x", "gold": "glad"}', ["answer=label", "labels=[good,bad]"], r"'glad' is no label .* labels are good, bad"),
    ('{"text": "x", "gold": "good"}', ["answer=label"], r"answer=label needs labels"),
    ('{"text": "x", "gold": "1"}', ["labels=[good,bad]"], r"the others take none"),
    ('{"text": "x", "gold": "<expression>"}', ["answer=math"], r"row 1, field 'gold': '<expression>' is no math"),
    ('{"text": "x", "gold": ","}', ["answer=set"], r"row 1, field 'gold': ',' is no set"),
    ("{", [], r"line 1: not JSON"),
]


@pytest.mark.parametrize(("content", "arguments", "message"), RESCORE, ids=[case[2] for case in RESCORE])
def test_rescore_mistakes(tmp_path: Path, content: str, arguments: list[str], message: str) -> None:
    (tmp_path / "t.jsonl").write_text(content)
    chosen: dict[str, Any] = {"answer": "number", "format": "text"} | dict(a.split("=", 1) for a in arguments)
    words = (f"{key}={value}" for key, value in chosen.items())
    done = command("rescore", f"transcripts={tmp_path / 't.jsonl'}", f"output={tmp_path}", *words)
    assert done.code == 2
    assert re.search(message, done.error), done.error
