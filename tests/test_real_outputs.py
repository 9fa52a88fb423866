"""What the embedded model really writes under every condition: key order, white space, budgets, and nothing after the end.

/tmp/pytest-of-me/.../results/every_condition/smollm2_135m/addition/json_schema/plain-seed0
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from experiments.run import make_job
from fmtbench.answers import Number
from fmtbench.conditions.condition import Condition
from fmtbench.decoding.grammar import allows
from fmtbench.running.job import Job
from fmtbench.running.pipeline import run
from fmtbench.store.folder import find_folders
from fmtbench.types import Generation, Row
from tests.conftest import FAST, composed, options

STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
pytestmark = pytest.mark.model


LIKE_ANOTHER = re.compile(
    r"restricted_(?:cot_)?(?:10|50|100)(?!\d)|(?<!free_cot)_3_shot|nl_to_(?:xml|yaml)|own_schema_|thoughts_final"
    r"|json_prompt_(?:answer_first|lines|list)|prose_fields_|_(?:compact|pretty|free_space)$"
)
"""Conditions that differ from one that is asked in a number, a name, some words, white space or the format of a second pass."""
EVERY = [pytest.param(name, marks=pytest.mark.slow if LIKE_ANOTHER.search(name) else ()) for name in options("condition")]
ALWAYS = {"free_cot", "sham", "json_schema_unasked", "nl_to_json"}


def job_of(results: Path, names: list[str], items: int, tokens: int) -> Job:
    """Of the second item on, to which the model's replies are short. Batches are small, since prompts are padded to the longest
    of theirs."""
    few = (FAST, "task=[addition]", "skip=1", f"limit={items}", f"sampling.max_tokens={tokens}", "backend.batch_size=20")
    asked = f"condition=[{','.join(names)}]"
    return make_job(composed("experiment=every_condition", *few, asked, f"results={results}"))


def has_to_end(condition: Condition) -> bool:
    """Whether one of its replies at least has to end, or nothing of what it enforces would be seen."""
    return condition.enforced == "schema" and condition.when == "whole" and condition.thinking == "off"


@pytest.fixture(scope="module")
def replies(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> dict[str, list[tuple[Row, Generation]]]:
    """An item under every condition that a selected test names, and a second one, with more tokens, where an enforced reply was
    cut: the row, and its last generation."""
    here = [item.callspec for item in request.session.items if item.path == request.path and hasattr(item, "callspec")]
    results = tmp_path_factory.mktemp("real_outputs")
    names = sorted(ALWAYS.union(one.params["name"] for one in here))
    job = job_of(results, names, 1, 40)
    rows = run(job)
    if cut := [row.condition for row in rows if row.finish_reason == "length" and has_to_end(job.conditions[row.condition])]:
        rows = [row for row in rows if row.condition not in cut] + run(job_of(results, cut, 2, 96))
    last = {one.key: one for folder in find_folders(results) for one in folder.generations()}
    return {name: [(row, last[row.request_key]) for row in rows if row.condition == name] for name in job.conditions}


@pytest.fixture(scope="module")
def refused(replies: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Why the cell of each condition did not run; empty where it did."""
    folders = {
        folder.path.parent.name: folder for folder in find_folders(next(tmp_path_factory.getbasetemp().glob("real_outputs*")))
    }
    return {name: str(folders[name].manifest().get("barred", "")) for name in replies}


def unable(name: str) -> str:
    """Why the embedded model, greedy and alone, does not do a condition; empty for all others."""
    known = {
        "thinking": "needs a backbone that thinks",
        "tool_": "needs a chat template that shows tools",
        "first_valid": "at temperature 0 draws the same text",
        "_formatter": "needs another backbone",
    }
    return next((said for part, said in known.items() if part in name), "")


@pytest.mark.parametrize("name", EVERY)
def test_every_condition_runs_or_says_why_not(replies: dict[str, Any], refused: dict[str, str], name: str) -> None:
    assert bool(replies[name]) != bool(unable(name))
    assert bool(unable(name)) == bool(refused[name])
    assert unable(name) in refused[name]
    for row, generation in replies[name]:
        assert row.status != "engine_error", generation.error
        assert row.text
        assert row.completion_tokens >= len(generation.token_ids) > 0
        assert row.seconds > 0


@pytest.mark.parametrize("name", EVERY)
def test_what_is_enforced_is_kept(replies: dict[str, Any], conditions: dict[str, Condition], name: str) -> None:
    condition = conditions[name].closing
    constraint = condition.constraint(Number())
    for row, generation in replies[name]:
        assert (generation.decoder == "none") == (constraint is None)
        if constraint is not None and row.finish_reason == "stop":
            assert allows(constraint, row.text)
        if condition.enforced == "schema" and condition.asked in ("xml", "yaml") and row.finish_reason == "stop":
            assert row.status == "ok"
        elif condition.enforced in ("object", "schema") and row.finish_reason == "stop":
            written = row.text.partition(condition.trigger)[2] if condition.when == "answer" else row.text
            keys = list(json.loads(written))  # fails on anything after the object
            assert not re.search(r"\s\s|[\t\n]", STRING.sub('""', written.removeprefix("\n"))), "at most one space between tokens"
            assert condition.enforced == "object" or keys == list(
                condition.layout.fields if condition.when != "answer" else [condition.answer_field]
            )


@pytest.mark.parametrize("name", [one for one in EVERY if str(one.values[0]).endswith("_hard")])
def test_a_hard_budget_holds(replies: dict[str, Any], conditions: dict[str, Condition], name: str) -> None:
    words = conditions[name].words
    assert words is not None
    for row, _ in replies[name]:
        before, mark, _ = row.text.rpartition("The answer is")
        assert row.reasoning_words <= words or len((before if mark else row.text).split()) <= words


def test_at_least_one_reply_of_every_enforced_condition_ends(replies: dict[str, Any], conditions: dict[str, Condition]) -> None:
    """Or the tests above would say nothing."""
    ended = {name: [row.finish_reason == "stop" for row, _ in cell] for name, cell in replies.items()}
    held = [name for name, one in conditions.items() if has_to_end(one) and not unable(name)]
    assert all(any(ended[name]) for name in held if name in ended), ended


def test_unasked_formats_and_the_sham_show_the_same_prompt_and_cost_the_same_prompt_tokens(replies: dict[str, Any]) -> None:
    tokens = {name: [row.prompt_tokens for row, _ in replies[name]] for name in ("free_cot", "sham", "json_schema_unasked")}
    assert len(set(map(tuple, tokens.values()))) == 1
    assert all(row.prompt_tokens > free for (row, _), free in zip(replies["nl_to_json"], tokens["free_cot"]))
