"""The field's studies as presets: what they ask, what they say of themselves, and the published numbers beside a run's."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from experiments.run import make_job
from experiments.starting.build import build_group
from fmtbench.analysis.tables.replication import published
from fmtbench.errors import UserError
from fmtbench.running.planning import plan
from tests.commanding import Done, command
from tests.conftest import CONF, DATA, FAST, composed, write_own_rows

LOCAL = DATA.is_dir()
FIRST = "prompt=[task1_format1]"
"""Of a study with nine prompts, one: each is asked the same."""
STUDIES: dict[str, dict[str, Any]] = {
    "let_me_speak_freely": {"tasks": 9, "conditions": 10, "prompts": 9, "tokens": 512, "shots": {0}},
    "say_what_you_mean": {"tasks": 3, "conditions": 3, "prompts": 1, "tokens": 256, "shots": {3}},
    "format_tax": {"tasks": 3, "conditions": 6, "prompts": 1, "tokens": 4096, "shots": {0}},
    "crane": {"tasks": 2, "conditions": 4, "prompts": 1, "tokens": 800, "shots": {3}},
    "chain_of_draft": {"tasks": 4, "conditions": 3, "prompts": 1, "tokens": 4096, "shots": {3}},
    "key_order": {"tasks": 3, "conditions": 8, "prompts": 1, "tokens": 512, "shots": {0}},
}
"""What the papers set, as far as one run can set it."""


@pytest.fixture(scope="module")
def own_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("rows")
    write_own_rows(root)
    return root


@cache
def study(name: str) -> Any:
    return composed(f"experiment={name}", "backbone=llama3_1_8b", "backend=scripted", "data_root=somewhere")


def test_every_experiment_that_repeats_a_study_is_here() -> None:
    assert [path.stem for path in sorted((CONF / "experiment").iterdir()) if "\nrepeats:" in path.read_text()] == sorted(STUDIES)


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_has_the_settings_of_its_paper(name: str) -> None:
    config, wanted = study(name), STUDIES[name]
    job = make_job(config)
    assert (len(config.task), len(config.condition), len(config.prompt)) == tuple(
        wanted[key] for key in ("tasks", "conditions", "prompts")
    )
    assert (config.sampling.temperature, config.sampling.max_tokens, config.sampling.samples) == (0, wanted["tokens"], 1)
    assert {condition.shots for condition in job.conditions.values()} == wanted["shots"]
    assert {job.backbone.context} == {131072}


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_says_what_differs_and_where_its_numbers_are(name: str) -> None:
    repeats = study(name).repeats
    assert re.search(r" 20\d\d", repeats.paper)
    assert all(re.match(r"[A-Za-z].{10,}", line) and len(line) < 130 for line in repeats.differs)
    assert len(repeats.differs) >= 5
    assert set(repeats.published) <= set(published().study)
    assert repeats.published or any(line.startswith("published: ") for line in repeats.differs)
    for pair in study(name).planned:
        assert {pair.condition, pair.reference} <= set(study(name).condition)


@pytest.mark.parametrize("name", [name for name in STUDIES if name != "crane"])
def test_some_cell_of_a_study_stands_beside_a_published_number(name: str) -> None:
    config = study(name)
    theirs = published()
    theirs = theirs[theirs.study.isin(config.repeats.published)]
    pairs = {(t, c) for line in theirs.itertuples() for t in line.task.split() for c in line.condition.split()}
    assert pairs & {(task, condition) for task in config.task for condition in config.condition}


def one_prompt(name: str) -> list[str]:
    return [FIRST] if STUDIES[name]["prompts"] > 1 else []


def passes(job: Any) -> int:
    return sum(condition.passes for condition in job.conditions.values())


@pytest.mark.parametrize("name", STUDIES)
def test_a_plan_counts_requests_tokens_and_hours_without_a_model(name: str, own_rows: Path, tmp_path: Path) -> None:
    few = [f"experiment={name}", "backend=scripted", f"data_root={own_rows}", "limit=2", f"results={tmp_path}"]
    few += one_prompt(name)
    job = make_job(composed(*few))
    items = sum(min(2, len(task.items())) for task in job.tasks.values())
    requests = items * passes(job)
    done = command("plan", *few, "sampling.max_tokens=100", "tokens_per_second=10")
    assert done.code == 0, done.err
    assert f"{len(job.cells)} cells, {requests} requests, 0 journalled, {requests} to generate" in done.out
    assert f"At most {100 * requests:,} tokens to generate, {100 * requests / 36_000:,.1f} GPU hours at 10 tokens/s" in done.out
    prompts = re.search(r"About ([\d,]+) tokens of prompts; a token is taken as 4 characters", done.out)
    assert prompts
    assert int(prompts[1].replace(",", "")) > 20 * requests
    paper = study(name).repeats
    assert f"Repeats {paper.paper}. What differs:\n  - {paper.differs[0]}\n" in done.out


@pytest.mark.parametrize("name", STUDIES)
def test_without_data_a_study_ends_in_one_line_that_says_what_to_do(name: str, monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    done = command("plan", f"experiment={name}", "backend=scripted", *one_prompt(name))
    assert done.code == 2
    assert re.search(r"cannot load \S+/\S+ from the hub \(HF_HUB_OFFLINE is set\): .* set data_root to the folder", done.error)


def test_a_local_folder_without_one_of_the_sets_says_how_to_take_it_from_the_hub(own_rows: Path, tmp_path: Path) -> None:
    few = ("experiment=let_me_speak_freely", "backend=scripted", FIRST, f"data_root={own_rows}", f"results={tmp_path}")
    done = command("plan", *few, f"task.ddxplus.source.data_root={tmp_path}")
    assert done.code == 2
    assert "ddxplus/test.jsonl does not exist: check the path" in done.error
    assert done.error.endswith("task.ddxplus.source.data_root=null for this task alone")


def test_a_task_has_the_items_that_its_study_took(own_rows: Path) -> None:
    few = ("backend=scripted", f"data_root={own_rows}", "task=[coin_flip,ddxplus]", "condition=[free_cot]", "limit=3")
    for words, counts in (
        ([], {"coin_flip": 3, "ddxplus": 2}),
        (["+limit_of.ddxplus=1"], {"coin_flip": 3, "ddxplus": 1}),
        (["+limit_of.coin_flip=9"], {"coin_flip": 3, "ddxplus": 2}),
    ):
        job = make_job(composed(*few, *words))
        assert {cell.task: len(requests) for cell, requests in plan(job).items()} == counts
    assert study("let_me_speak_freely").limit_of == {"task280": 1000}


@pytest.mark.parametrize("words", ["+limit_of.gsm9k=3", "+limit_of.capitals=0"])
def test_a_limit_of_no_task_is_one_line(words: str) -> None:
    done = command("plan", "backend=scripted", words)
    assert done.code == 2
    assert words.lstrip("+") in done.error


def test_settings_for_what_is_not_chosen_are_left_out_and_a_users_own_are_a_mistake(own_rows: Path, tmp_path: Path) -> None:
    few = ("experiment=crane", "backend=scripted", f"data_root={own_rows}", f"results={tmp_path}", "limit=1")
    done = command("plan", *few, "task=[folio]", "condition=[free_cot]", "planned=[]")
    assert done.code == 0, done.err
    assert "1 cells, 1 requests" in done.out
    own = command("plan", *few, "task=[folio]", "+condition.sham.shots=3")
    assert own.code == 2
    assert "no _target_ is given" in own.error


def test_a_run_prints_its_numbers_beside_the_published_ones(own_rows: Path, tmp_path: Path) -> None:
    done = command(
        "run", "experiment=say_what_you_mean", "backend=scripted", f"data_root={own_rows}", f"results={tmp_path}", "limit=1"
    )
    assert done.code == 0, done.err
    assert "Repeats Kurt (dottxt) 2024" in done.err
    beside = done.out.partition("Beside Kurt (dottxt) 2024")[2]
    assert "table=[replication]" in beside
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in beside.splitlines() if line.startswith("|")]
    table = pd.DataFrame(rows[2:], columns=rows[0])
    assert set(table.study) == {"dottxt 2024", "Castillo 2024"}
    assert set(table.task) == {"gsm8k", "last_letter_4_names", "bbh_tracking_shuffled_objects_five_objects"}
    gsm8k = table[(table.task == "gsm8k") & (table.model == "llama-3-8b")].set_index(["study", "condition"])
    assert dict(gsm8k.published) == {
        ("Castillo 2024", "free_cot_3_shot"): "80.0",
        ("Castillo 2024", "json_schema_3_shot"): "79.5",
        ("dottxt 2024", "json_prompt_3_shot"): "77.2",
        ("dottxt 2024", "json_schema_3_shot"): "77.8",
    }
    assert gsm8k["Δ published"]["Castillo 2024", "json_schema_3_shot"] == "-0.5", "against free text with the same examples"
    assert set(gsm8k.ours) <= {"0.0", "100.0"}, "of one item"


def at_hand(own_rows: Path, name: str) -> list[str]:
    """Real items where they are at hand, and ours where they are not."""
    words = [f"data_root={own_rows}"]
    for task, node in study(name).task.items():
        if LOCAL and "source" in node and (DATA / node.source.file).is_file():
            words.append(f"task.{task}.source.data_root={DATA}")
    return words


ABSENT = {"let_me_speak_freely": ["ddxplus"], "format_tax": ["math_500", "gpqa_diamond", "zebralogic"], "crane": ["gsm_symbolic"]}
"""Tasks of the studies that are on the hub alone: on the embedded model they are tried on rows of our own."""


def test_what_a_study_needs_the_hub_for_is_named_and_refused_offline(
    own_rows: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    for name in STUDIES:
        local = [word.split(".")[1] for word in at_hand(own_rows, name) if word.startswith("task.")]
        tasks = {task: node for task, node in study(name).task.items() if "source" in node}
        if LOCAL:
            assert [task for task in tasks if task not in local] == ABSENT.get(name, [])
        for task in ABSENT.get(name, []):
            node = build_group(composed(f"task=[{task}]").task)[task]
            with pytest.raises(
                UserError, match=rf"cannot load {tasks[task].source.hub_id} from the hub \(HF_HUB_OFFLINE is set\)"
            ):
                node.items()


def ran(name: str, own_rows: Path, tmp_path: Path, *words: str) -> Done:
    few = ["sampling.max_tokens=24", f"results={tmp_path}", FAST, *at_hand(own_rows, name), *words]
    return command("run", f"experiment={name}", *few, *one_prompt(name))


@pytest.mark.model
def test_a_part_of_a_study_runs_on_the_embedded_model(own_rows: Path, tmp_path: Path) -> None:
    """The short form of the next: one task, two conditions, eight tokens."""
    few = ("limit=5", "task=[sports_understanding]", "condition=[free_cot,json_prompt]", "planned=[]", "sampling.max_tokens=8")
    where = (FIRST, FAST, f"data_root={own_rows}", f"results={tmp_path}")
    done = command("run", "experiment=let_me_speak_freely", *few, *where)
    assert done.code == 0, done.err[-2000:]
    rows = pd.concat(pd.read_parquet(path) for path in tmp_path.rglob("rows.parquet"))
    assert set(rows.condition) == {"free_cot", "json_prompt"}
    assert set(rows.completion_tokens) <= set(range(1, 9))


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.parametrize("name", STUDIES)
def test_a_study_runs_on_the_embedded_model(name: str, own_rows: Path, tmp_path: Path) -> None:
    done = ran(name, own_rows, tmp_path, "limit=5")
    assert done.code == 0, done.err[-2000:]
    rows = pd.concat(pd.read_parquet(path) for path in tmp_path.rglob("rows.parquet"))
    config = study(name)
    assert set(rows.condition) == set(config.condition)
    assert set(rows.task) == set(config.task)
    assert (rows.groupby(["task", "condition"]).size() <= 5).all()
    assert (rows.status != "engine_error").all()
    assert f"eside {config.repeats.paper}" in done.out or "No accuracy of" in done.out
