"""Exports say what the rows say, and each tool's own library opens them, where it is installed."""

import json
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pyarrow.parquet as pq
import pytest

from experiments.run import make_job
from fmtbench.analysis.rows.frame import load_rows
from fmtbench.errors import UserError
from fmtbench.running.pipeline import run
from fmtbench.store.rows import VERSION_KEY
from fmtbench.types import ROWS_VERSION
from tests.commanding import called, command
from tests.conftest import composed, options
from tests.made_rows import coins, made_rows
from tests.made_study import HOSTILE

KEYS = ["task", "condition", "item_id", "sample"]
CELLS = 2 * 3


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run folders as a run leaves them; scripted, two samples an item."""
    root = tmp_path_factory.mktemp("export")
    overrides = ("task=[capitals,addition]", "condition=[free_cot,json_schema,nl_to_json]", "limit=4", "backend=scripted")
    run(make_job(composed(*overrides, "sampling.samples=2", "sampling.temperature=0.7", f"results={root}")))
    return root


def exported(results: Path, name: str, output: Path) -> Path:
    called("export", f"results={results}", f"format={name}", f"output={output}")
    return output


# -- lm-eval


def test_lm_eval_holds_every_verdict(results: Path, tmp_path: Path) -> None:
    rows = load_rows(results)
    files = sorted(exported(results, "lm_eval", tmp_path).glob("*/samples_*.jsonl"))
    assert len(files) == CELLS
    found = pd.DataFrame([_line(path, json.loads(line)) for path in files for line in path.read_text("utf-8").splitlines()])
    for name, verdict in (("strict", "correct"), ("marked", "marked_correct"), ("latent", "latent_correct")):
        mine = found[found["filter"] == name].sort_values(KEYS)
        wanted = rows.sort_values(KEYS)
        assert mine.right.tolist() == wanted[verdict].astype(float).tolist()
        assert mine.text.tolist() == wanted.text.tolist()
    assert found.asked.str.contains("What is").all()


def _line(path: Path, line: dict[str, Any]) -> dict[str, Any]:
    task, condition, _ = path.name.removeprefix("samples_").split("__")
    (messages,) = (json.loads(one["arg_0"]) for one in line["arguments"].values())
    return {
        **{"task": task, "condition": condition, "item_id": line["doc"]["id"], "sample": line["fmtbench"]["sample"]},
        **{"filter": line["filter"], "right": line["exact_match"], "text": line["resps"][0][0], "asked": messages[0]["content"]},
    }


def test_lm_eval_reads_its_own(results: Path, tmp_path: Path) -> None:
    utils = pytest.importorskip("lm_eval.utils")
    files = [str(path) for path in exported(results, "lm_eval", tmp_path).rglob("*.json*")]
    (aggregate,) = utils.get_results_filenames(files)
    found = json.loads(Path(aggregate).read_text("utf-8"))
    table = utils.make_table(found)
    names = {utils.get_file_task_name(Path(path).name) for path in utils.get_sample_results_filenames(files)}
    assert names == set(found["results"])
    rows = load_rows(results)
    for name in names:
        task, condition, _ = name.split("__")
        mean = rows[(rows.task == task) & (rows.condition == condition)].correct.mean()
        assert found["results"][name]["exact_match,strict"] == pytest.approx(mean)
        assert name in table


def test_lm_eval_samples_are_a_data_set(results: Path, tmp_path: Path) -> None:
    files = list(map(str, exported(results, "lm_eval", tmp_path / "out").glob("*/samples_*.jsonl")))
    lines = datasets.load_dataset("json", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    assert len(lines) == 3 * len(load_rows(results))


# -- Inspect


def test_inspect_logs_hold_every_reply(results: Path, tmp_path: Path) -> None:
    rows = load_rows(results)
    logs = [json.loads(path.read_text("utf-8")) for path in exported(results, "inspect", tmp_path).glob("*.json")]
    assert len(logs) == CELLS
    found = []
    for log in logs:
        cell = log["eval"]["task_args"]
        for one in log["samples"]:
            found.append((cell["task"], cell["condition"], one["id"], one["epoch"] - 1, one["output"]["completion"]))
    assert sorted(found) == sorted(rows[[*KEYS, "text"]].itertuples(index=False, name=None))


def test_inspect_reads_its_own(results: Path, tmp_path: Path) -> None:
    inspect_log = pytest.importorskip("inspect_ai.log")
    rows = load_rows(results)
    infos = inspect_log.list_eval_logs(str(exported(results, "inspect", tmp_path)))
    assert len(infos) == CELLS
    for info in infos:
        log = inspect_log.read_eval_log(info)
        mine = rows[(rows.task == log.eval.task_args["task"]) & (rows.condition == log.eval.task_args["condition"])]
        assert (log.status, len(log.samples), log.eval.config.epochs) == ("success", len(mine), 2)
        strict, latent = log.results.scores
        assert strict.metrics["accuracy"].value == pytest.approx(mine.correct.mean())
        assert latent.metrics["accuracy"].value == pytest.approx(mine.latent_correct.mean())
        right = {(one.id, one.epoch - 1): one.scores["strict"].value == "C" for one in log.samples}
        assert right == {(row.item_id, row.sample): bool(row.correct) for row in mine.itertuples()}
        assert all("What is" in one.messages[0].text and one.messages[-1].role == "assistant" for one in log.samples)
        inspect_log.write_eval_log(log, str(tmp_path / "back.eval"))
        assert len(inspect_log.read_eval_log(str(tmp_path / "back.eval")).samples) == len(mine)


# -- datasets


def test_datasets_loads_the_folder(results: Path, tmp_path: Path) -> None:
    folder = exported(results, "datasets", tmp_path / "out")
    loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    (split,) = loaded
    rows = load_rows(results)
    assert split == rows.backbone.iloc[0]
    mine = loaded[split].to_pandas().sort_values(KEYS, ignore_index=True)
    pd.testing.assert_frame_equal(mine, rows.sort_values(KEYS, ignore_index=True), check_dtype=False)
    card = (folder / "README.md").read_text("utf-8")
    assert card.startswith("---\npretty_name: out\n")
    assert "| addition | free_cot " in card
    assert "- `addition`: generated" in card


# -- any of them


@pytest.mark.parametrize("name", options("export"))
def test_twice_is_the_same_bytes_and_a_load_of_rows_is_enough(name: str, tmp_path: Path) -> None:
    right = {"free_cot": coins(0, 5), "direct": coins(1, 5)}
    nothing = dict.fromkeys(("answer", "text", "question"))
    rows = pd.concat([made_rows(right, backbone=backbone, **nothing) for backbone in ("a.b", "c")])
    (tmp_path / "results").mkdir()
    rows.to_parquet(tmp_path / "results" / "rows.parquet")
    first, second = (exported(tmp_path / "results", name, tmp_path / folder / "out") for folder in ("one", "two"))
    files = {path.relative_to(first): path.read_bytes() for path in first.rglob("*") if path.is_file()}
    assert files == {path.relative_to(second): path.read_bytes() for path in second.rglob("*") if path.is_file()}
    assert files


@pytest.mark.parametrize("name", options("export"))
def test_no_name_leads_out_of_the_folder(name: str, tmp_path: Path) -> None:
    bad = "../../" + HOSTILE
    rows = made_rows({bad: coins(0, 3)}, backbone=bad, task=bad, prompt=bad, text=HOSTILE, status="no_mark")
    (tmp_path / "in" / "deep").mkdir(parents=True)
    rows.to_parquet(tmp_path / "in" / "deep" / "rows.parquet")
    exported(tmp_path / "in", name, tmp_path / "in" / "deep" / "out")
    outside = [path for path in tmp_path.rglob("*") if path.is_file() and tmp_path / "in" / "deep" / "out" not in path.parents]
    assert outside == [tmp_path / "in" / "deep" / "rows.parquet"]


@pytest.mark.parametrize("name", options("export"))
def test_no_rows_are_refused(name: str, tmp_path: Path) -> None:
    made_rows({"free_cot": coins(0, 3)}).head(0).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(UserError, match="there are no rows"):
        exported(tmp_path, name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["format=lm_eval", "output=x"], "results= is missing: give a results folder"),
        (["results=.", "format=csv", "output=x"], "format=csv: give one of datasets, inspect, lm_eval"),
        (["results=.", "output=x"], "format= is missing: give datasets, inspect, lm_eval or packed"),
        (["results=.", "format=inspect"], "output= is missing: give a folder"),
        (["results=.", "format=inspect", "output=x", "name=y"], "name is no key of this config"),
    ],
)
def test_mistakes(words: list[str], said: str) -> None:
    done = command("export", *words)
    assert done.code == 2
    assert said in done.error


def test_a_cell_in_two_files_is_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made_rows({"free_cot": coins(0, 3)}).to_parquet(tmp_path / name / "rows.parquet")
    with pytest.raises(UserError, match="b/t__free_cot__0-seed0 occurs twice"):
        exported(tmp_path, "lm_eval", tmp_path / "out")


@pytest.mark.parametrize("name", ["tables", "export"])
def test_rows_of_another_version_are_refused_with_the_version(results: Path, tmp_path: Path, name: str) -> None:
    file = next(iter(sorted(results.rglob("rows.parquet"))))
    table = pq.read_table(file)
    assert table.schema.metadata[VERSION_KEY] == str(ROWS_VERSION).encode()
    pq.write_table(table.replace_schema_metadata({VERSION_KEY: b"99"}), tmp_path / "rows.parquet")
    words = ["format=lm_eval"] if name == "export" else ["format=html"]
    with pytest.raises(
        UserError, match=rf"holds rows of version 99, this fmtbench reads version {ROWS_VERSION}: score its folder"
    ):
        called(name, f"results={tmp_path}", *words, f"output={tmp_path / 'out'}")
