"""A pilot chooses the tasks of a study: on items that the study has not, by a rule that is data."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments.run import make_job
from experiments.starting.build import build_group
from fmtbench.analysis.tables.pilot import pilot_table
from fmtbench.errors import UserError
from fmtbench.running.planning import plan, select_items
from tests.commanding import command
from tests.conftest import DATA, composed
from tests.made_rows import made_rows

STUDIES = {"pilot": ("experiment=pilot",), "main": ("experiment=main",), "again": ("experiment=main", "skip=60")}
"""The studies whose items are told apart: the repetition is a call of the study, whose sampled part has the same items."""
APART = [("pilot", "main"), ("pilot", "again"), ("main", "again")]
TASKS = list(composed("experiment=pilot").task)


def asked(study: str, data_root: Path) -> dict[str, list[Any]]:
    """The items of every task of the pilot, as a study asks them."""
    config = composed(*STUDIES[study], f"task=[{','.join(TASKS)}]", f"data_root={data_root}")
    return {name: select_items(name, task, config.limit, config.skip) for name, task in build_group(config.task).items()}


@pytest.fixture(scope="module")
def items() -> dict[str, dict[str, list[Any]]]:
    if not DATA.is_dir():
        pytest.skip("the evaluation data is not on this machine")
    return {study: asked(study, DATA) for study in STUDIES}


@pytest.mark.parametrize(("one", "other"), APART)
def test_no_item_of_the_pilot_is_in_a_study_and_none_of_the_study_in_its_repetition(
    items: dict[str, dict[str, list[Any]]], one: str, other: str
) -> None:
    for name in TASKS:
        for what in ("id", "question"):
            both = [{getattr(item, what) for item in items[study][name]} for study in (one, other)]
            assert not both[0] & both[1], (name, what)


def test_a_study_has_as_many_items_as_it_says(items: dict[str, dict[str, list[Any]]]) -> None:
    assert {len(some) for some in items["main"].values()} == {len(some) for some in items["again"].values()} == {60}
    assert {name: len(some) for name, some in items["pilot"].items() if len(some) != 100} == {"capitals": 55}


def test_a_task_has_one_size_and_a_study_one_set_of_items() -> None:
    words = f"task=[{','.join(TASKS)}]"
    pilot, main, samples = (composed(f"experiment={name}", words) for name in ("pilot", "main", "main_samples"))
    assert pilot.task == main.task == samples.task
    assert (main.skip, main.limit) == (samples.skip, samples.limit) == (0, 60)
    assert set(pilot.prompt) <= set(main.prompt)
    assert set(samples.condition) <= set(main.condition)


@pytest.fixture(scope="module")
def rows() -> Any:
    """Four tasks: off floor and ceiling, at the floor, at the ceiling, and at chance among two golds; an eighth is cut off."""
    shares = {"open": 0.4, "floor": 0.1, "ceiling": 0.95, "chance": 0.5}
    made = []
    for name, share in shares.items():
        right = np.arange(100) < round(100 * share)
        gold = {"free_cot": np.resize(["yes", "no"], 100)} if name == "chance" else {"free_cot": np.arange(100).astype(str)}
        status = {"free_cot": np.where(np.arange(100) % 8 == 0, "truncated", "ok")}
        made.append(made_rows({"free_cot": right}, task=name, gold=gold, status=status))
    made.append(made_rows({"json_schema": np.ones(100)}, task="floor"))  # no format has a say
    return pd.concat(made, ignore_index=True)


def test_in_are_the_pairs_off_floor_ceiling_and_chance(rows: Any) -> None:
    table = pilot_table(rows, asked=True).set_index("task")
    assert dict(table.verdict) == {
        "open": "in",
        "floor": "out: below 15%",
        "ceiling": "out: above 85%",
        "chance": "out: not above chance",
    }
    assert dict(table.latent) == {"open": 0.4, "floor": 0.1, "ceiling": 0.95, "chance": 0.5}
    assert table.latent_low["open"] < 0.4 < table.latent_high["open"]
    assert dict(table.chance) == {"open": 0, "floor": 0, "ceiling": 0, "chance": 0.5}
    assert set(table.truncated) == {0.13}
    assert set(table.n) == {100}
    assert table.attrs["below"] == ["b: task=[open]."]


def test_the_rule_is_data_and_its_ends_are_in(rows: Any) -> None:
    table = pilot_table(rows, low=0.1, high=0.95, asked=True).set_index("task")
    assert set(table.verdict[["open", "floor", "ceiling"]]) == {"in"}
    none = pilot_table(rows, low=0.96, high=0.97, asked=True)
    assert none.attrs["below"] == ["b: no task is in."]


def test_a_pilot_is_asked_for_and_needs_free_text(rows: Any) -> None:
    with pytest.raises(UserError, match=r"ask for it, table=\[pilot\]"):
        pilot_table(rows)
    with pytest.raises(UserError, match=r"no row is of it: run condition=\[free_cot\]"):
        pilot_table(rows[rows.condition == "json_schema"], asked=True)


def test_a_pilot_runs_and_says_which_tasks_are_in(tmp_path: Path) -> None:
    few = ("task=[addition,capitals]", "backend=scripted", f"results={tmp_path}", "limit=3", "tracker=none")
    done = command("run", "experiment=pilot", *few)
    assert done.code == 0, done.err
    made = command("tables", f"results={tmp_path / 'pilot'}", "table=[pilot]", "figure=[]")
    assert made.code == 0, made.err
    page = (tmp_path / "pilot" / "tables" / "appendix" / "pilot.md").read_text()
    assert page.count("| SmolLM2-135M |") == 2
    assert "smollm2_135m: no task is in." in page


def test_skip_leaves_out_the_first_items() -> None:
    def ids(*words: str) -> list[str]:
        job = make_job(composed("task=[capitals]", "condition=[free_cot]", "backend=scripted", *words))
        (requests,) = plan(job).values()
        return [one.item.id for one in requests]

    assert ids("skip=3", "limit=4") == ids("limit=7")[3:]
    assert ids("skip=170", "limit=40") == ids("limit=null")[170:]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("skip=175", "task capitals has 175 items, and skip=175 leaves none: skip fewer, or leave the task out"),
        ("skip=-1", "skip=-1: give a whole number, or 0 for none"),
    ],
)
def test_a_wrong_skip_is_one_line(words: str, said: str) -> None:
    done = command("plan", "task=[capitals]", "backend=scripted", words)
    assert (done.code, done.error) == (2, f"error: {said}")
