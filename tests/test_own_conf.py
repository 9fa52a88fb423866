"""A user's own YAML files and packages: what they add, and every fault in one line that names the file and the place."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf, open_dict

from experiments.starting.build import SCORED, build, plugins
from fmtbench.errors import UserError
from fmtbench.presets import target
from tests.commanding import Done, command, messages, process
from tests.conftest import ROOT, composed

GOOD = "mine:\n  _target_: fmtbench.tasks.arithmetic.Addition\n  seed: ${seed}\n  digits: 1\n  size: 5\n"


def run(own: Path, *arguments: str) -> Done:
    return command("run", "--config-dir", own, "backend=scripted", f"results={own / 'results'}", "name=x", "limit=2", *arguments)


def written(own: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = own / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return own


def test_an_option_of_ones_own_adds_to_ours(tmp_path: Path) -> None:
    own = written(tmp_path, {"task/mine.yaml": GOOD})
    done = run(own, "task=[mine,capitals]", "condition=[direct]")
    assert done.code == 0, done.err
    assert {path.parts[-4] for path in own.rglob("rows.parquet")} == {"mine", "capitals"}
    page = command("run", "--config-dir", own, "--help")
    assert "mine" in page.out
    done = run(own, "task=[mien]")
    assert "did you mean mine? allowed are" in done.error


FAULTS: list[tuple[dict[str, str | bytes], str]] = [
    ({"task/mine.yaml": "mine:\n  _target_: [\n"}, r"task/mine.yaml, line 3, column 1: not YAML: "),
    (
        {"task/mine.yaml": "mine:\n  a: b: c\n"},
        r"task/mine.yaml, line 2, column 7: not YAML: mapping values",
    ),
    ({"task/mine.yaml": b"mine:\n  mark: \xe9t\xe9\n"}, r"task/mine.yaml, line 2, column 9: not UTF-8: byte 0xe9"),
    ({"task/mine.yaml": "mine:\n"}, r"task/mine.yaml: mine has no settings: write its _target_ and fields below it"),
    ({"task/mine.yaml": "mine: 3\n"}, r"task/mine.yaml: mine has no settings"),
    ({"task/mine.yaml": "- mine\n"}, r"task/mine.yaml: holds a list, expected keys with values"),
    ({"task/mine.yaml": "mine\n"}, r"task/mine.yaml: mine has no settings"),
    ({"task/mine.yaml": "mine:\n  size: 3\n"}, r"task/mine.yaml: no _target_ is given"),
    (
        {"task/mine.yaml": "defaults: [other]\n" + GOOD, "task/other.yaml": "defaults: [mine]\n"},
        r"task/mine.yaml -> .*task/other.yaml -> .*task/mine.yaml: the defaults go round in a circle",
    ),
    ({"task/mine.yaml": "defaults: [mine]\n" + GOOD}, r"task/mine.yaml -> .*task/mine.yaml: the defaults go round in a circle"),
    ({"task/mine.yaml": "defaults: [nowhere]\n" + GOOD}, r"task=nowhere is no option of "),
    ({"task/mine.yaml": GOOD, "task/gsm8k.yaml": GOOD}, r"task/gsm8k.yaml has the name of conf/task/gsm8k.yaml: .* another name"),
    ({"task/mine.yaml": GOOD.replace("Addition", "Adition")}, r"mine: _target_ fmtbench.tasks.arithmetic.Adition"),
    (
        {"task/mine.yaml": GOOD.replace("fmtbench.tasks.arithmetic.Addition", "os.system")},
        r"mine: _target_ is 'os.system', allowed",
    ),
]


@pytest.mark.parametrize(
    ("files", "message"),
    [pytest.param(*case, id=case[1][:44], marks=() if k % 5 == 0 else pytest.mark.slow) for k, case in enumerate(FAULTS)],
)
def test_a_fault_is_one_line_with_file_and_place(tmp_path: Path, files: dict[str, str | bytes], message: str) -> None:
    done = run(written(tmp_path, files), "task=[mine]")
    assert done.code == 2
    assert re.search(message, done.error), done.error
    assert not list(tmp_path.rglob("generations.jsonl"))


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = run(tmp_path / "nowhere")
    assert (done.code, done.error) == (2, f"error: --config-dir {tmp_path / 'nowhere'}: there is no such folder")


# -- what may be built


@pytest.mark.parametrize(
    "path",
    [
        "os.system",
        "fmtbenchmark.x",
        "builtins.eval",
        "fmtbench.analysis.rows.frame.pd.read_pickle",
        "fmtbench.analysis.rows.frame.pd.eval",
        "fmtbench.store.folder.Path",
        "fmtbench.backbone.Backbone.__init__.__globals__",
        "fmtbench.tasks.base.Task.__subclasses__",
        "fmtbench.answers.Number.__class__",
        "fmtbench.presets.import_module",
        "fmtbench.errors",
        "fmtbench.types.ROWS_VERSION",
        "fmtbench..types.Item",
        "fmtbench",
        "",
    ],
)
def test_only_what_is_defined_in_fmtbench_is_a_target(path: str) -> None:
    with pytest.raises(UserError, match="allowed are classes and functions that are defined in fmtbench"):
        target(path, ("fmtbench",))
    for changed in ({"_target_": path}, {"extra": {"_target_": path}}):
        backend = composed().backend
        with open_dict(backend):
            backend.update(changed)
        with pytest.raises(UserError, match="allowed are"):
            build(backend, "backend")


@pytest.mark.parametrize("path", ["fmtbench.answers.Number", "fmtbench.Number"])
def test_a_name_that_fmtbench_hands_on_is_a_target(path: str) -> None:
    assert target(path, ("fmtbench",)).__module__ == "fmtbench.answers.number"


@pytest.fixture
def mypackage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "mypackage_of_tests").mkdir()
    (tmp_path / "mypackage_of_tests" / "__init__.py").write_text("from os import getcwd\n\n\ndef made(): return 7\n")
    monkeypatch.syspath_prepend(tmp_path)
    return "mypackage_of_tests"


def test_a_listed_package_is_built_from_and_only_what_it_defines(mypackage: str) -> None:
    config = OmegaConf.create({"_target_": f"{mypackage}.made"})
    with pytest.raises(UserError, match=r"defined in fmtbench$"):
        build(config, "extra")
    with plugins([mypackage]):
        assert build(config, "extra") == 7
        config._target_ = f"{mypackage}.getcwd"
        with pytest.raises(UserError, match=f"defined in fmtbench, {mypackage}$"):
            build(config, "extra")


def test_a_package_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = command("run", "plugins=[nobodys_package]", f"results={tmp_path}")
    assert (done.code, done.error.startswith("error: plugins=nobodys_package: there is no such package")) == (2, True)


@pytest.mark.parametrize(
    ("group", "path"),
    [
        ("task", "fmtbench.interchange.packed.write"),
        *(
            pytest.param(group, path, marks=pytest.mark.slow)
            for group, path in (
                ("task", "fmtbench.backends.scripted.Scripted"),
                ("condition", "fmtbench.store.folder.RunFolder"),
                ("condition", "mypackage_of_tests.made"),
                ("task", "fmtbench.tasks.source.Path"),
                ("task", "fmtbench.running.scoring.score"),
            )
        ),
    ],
)
@pytest.mark.usefixtures("mypackage")
def test_a_results_folder_names_tasks_and_conditions_only(tmp_path: Path, group: str, path: str) -> None:
    file, config = a_cell(tmp_path)
    (node,) = config[group].values()
    node["_target_"] = path
    file.write_text(yaml.safe_dump(config | {"plugins": ["mypackage_of_tests"]}))
    done = command("score", f"results={tmp_path / 'r'}")
    assert done.code == 2
    assert f"_target_ is '{path}', allowed are" in done.error
    assert done.error.endswith(", ".join(SCORED))


def a_cell(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """The config of a cell that has run."""
    words = ("backend=scripted", "task=[addition]", "condition=[direct]", "limit=2", "name=x", f"results={tmp_path / 'r'}")
    assert command("run", *words).code == 0
    (file,) = tmp_path.rglob("config.yaml")
    config: dict[str, Any] = yaml.safe_load(file.read_text())
    return file, config


def change(*path: str, to: Any) -> Any:
    def changed(config: dict[str, Any]) -> str:
        node = config
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = to
        return str(yaml.safe_dump(config))

    return changed


ELSEWHERE = "mypackage_of_tests.made"


STORED = [
    # A function of an allowed room would read a file of the folder's choice.
    (change("task", "addition", to={"_target_": "fmtbench.tasks.data_file.read_jsonl", "path": "/etc/hosts"}), "is a function"),
    (change("task", "addition", to={"_target_": "fmtbench.answers.Number"}), "describes a Number where a Task must be"),
    (change("task", "addition", "_args_", to=[1]), "_args_"),
    (change("task", "addition", "size", to={"_target_": ELSEWHERE}), "allowed are"),
    (change("task", "addition", "size", to="${oc.env:A_SECRET}"), "size"),
    (change("condition", to={}), "names no single condition"),
    (change("backbone", to=None), "it is not whole"),
    (change("seed", to="x"), "it is not whole"),
    (lambda _: "a: &a [1]\nb: [*a, *a]\n", "holds YAML aliases"),
    (lambda _: "[" * 20_000, "is not YAML"),
    (lambda _: "x" * 20_000_000, "a config at most"),
    (lambda _: "", "names no single task"),
]


@pytest.mark.parametrize(
    ("changed", "complaint"), [pytest.param(*case, marks=() if k % 4 == 0 else pytest.mark.slow) for k, case in enumerate(STORED)]
)
def test_a_results_folder_is_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: Any, complaint: str) -> None:
    file, config = a_cell(tmp_path)
    monkeypatch.setenv("A_SECRET", "hunter2")
    file.write_text(changed(config))
    done = command("score", f"results={tmp_path / 'r'}")
    assert (done.code, str(file) in done.error) == (2, True)
    assert complaint in done.error
    assert "hunter2" not in done.error


def test_every_weight_is_safetensors() -> None:
    """Each call that loads weights says so: transformers, sentence-transformers, PEFT and vLLM would all take a pickle."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "fmtbench").rglob("*.py"))
    calls = re.findall(r"AutoModel\w*\.from_pretrained\(.*?\)", text, re.S)
    ours = [call for call in calls if "gguf" not in call and "**where" not in call]
    assert len(ours) >= 3
    for call in ours:
        assert "use_safetensors=True" in text[text.index(call) : text.index(call) + 300], call
    assert text.count("PeftModel.from_pretrained(") == text.count("check_adapter(") - 2  # its definition, and a reranker's, early
    assert len(re.findall(r"[^\w.]LLM\(", text)) == 2
    assert text.count("load_format") == 2


def test_a_format_of_a_listed_package_is_known(tmp_path: Path) -> None:
    """In a process of its own, since a format is registered for as long as the process lives."""
    added = ROOT / "tests" / "added_format"
    (tmp_path / "formats_of_mine").mkdir()
    (tmp_path / "formats_of_mine" / "__init__.py").write_text((added / "assigned.py").read_text())
    paths = os.pathsep.join(filter(None, [str(tmp_path), str(ROOT), os.environ.get("PYTHONPATH")]))
    few = ("backend=scripted", "task=[addition]", "limit=1", "name=x", f"results={tmp_path / 'r'}")
    words = ("run", *few, "condition=[assigned_prompt]", "--config-dir", str(added))
    done = process(*words, "plugins=[formats_of_mine]", PYTHONPATH=paths)
    assert done.code == 0, done.err
    (asked,) = (tmp_path / "r").rglob("requests.jsonl")
    assert "Reply with only assignments of this form" in asked.read_text()
    unlisted = process(*words, PYTHONPATH=paths)
    assert unlisted.code == 2
    assert "assigned_prompt.asked" in messages(unlisted)[-1]
