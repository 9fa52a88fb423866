"""Two passes: the second is made from the first's reply, both cost, and a kill anywhere in between loses nothing."""

from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fmtbench.analysis.tables.reconsidered import reconsidered_table
from fmtbench.conditions.condition import Condition
from fmtbench.errors import UserError
from fmtbench.probes.replies import cell_replies
from fmtbench.running.pipeline import run
from fmtbench.running.planning import plan
from fmtbench.running.scoring import score
from fmtbench.store.folder import RunFolder
from fmtbench.types import Request
from tests.killing import asked, killed_when, slowly
from tests.test_pipeline import PROMPT, Counting, Failing, adds, job

CONVERTED: dict[str, Any] = {
    "free_cot": Condition(),
    "nl_to_json": Condition(asked="json", when="second_pass"),
    "nl_to_json_schema": Condition(asked="json", enforced="schema", when="second_pass"),
}


def converts(request: Request) -> str:
    """Adds in the first pass; in the second, writes as JSON what its own first reply said."""
    if len(request.messages) == 1:
        return adds(request)
    asked, reply, convert = request.messages
    assert (asked.role, reply.role, convert.role) == ("user", "assistant", "user")
    assert reply.content == adds(Request(messages=(asked,)))
    assert '"reasoning"' in convert.content
    total = reply.content.removesuffix(".").rpartition(" ")[2]
    return f'{{"reasoning": "as I said", "answer": {total}}}'


def test_the_second_pass_converts_the_first_and_shares_it_with_free_cot(tmp_path: Path) -> None:
    counting = Counting(converts)
    rows = run(job(tmp_path, counting, conditions=CONVERTED))
    assert len(rows) == 24
    assert all(row.correct for row in rows)
    assert set(counting.asked.values()) == {1}
    assert len(counting.asked) == 8 + 16, "one first pass for three cells, and a second pass for two"
    free, converted = ({row.item_id: row for row in rows if row.condition == name} for name in ("free_cot", "nl_to_json"))
    for item, row in converted.items():
        assert row.text.startswith('{"reasoning": "as I said"')
        assert row.completion_tokens == free[item].completion_tokens + len(row.text.split())
        assert row.prompt_tokens > 2 * free[item].prompt_tokens
        assert row.reasoning_words == free[item].reasoning_words, "the rationale is that of the first pass"


SAID = replace(PROMPT, reconsider="Think again.")
RECONSIDERED: dict[str, Any] = {
    "free_cot": Condition(),
    "free_cot_reconsidered": Condition(when="reconsider"),
    "json_schema": Condition(asked="json", enforced="schema"),
    "json_schema_reconsidered": Condition(asked="json", enforced="schema", when="reconsider"),
}


def thinks_again(request: Request) -> str:
    """Adds in prose, is wrong by one under a schema, and adds again what it is asked to reconsider."""
    right = adds(replace(request, constraint=None, messages=request.messages[:1]))
    if len(request.messages) == 1:
        total = int(right.removesuffix(".").rpartition(" ")[2])
        return f'{{"reasoning": "two words", "answer": {total + 1}}}' if request.constraint else right
    asked, reply, again = request.messages
    assert (asked.role, reply.role, again.role) == ("user", "assistant", "user")
    assert again.content == 'Think again. At the end, state the answer in the form "The answer is ...".'
    assert reply.content.startswith("{") == ('"answer"' in asked.content)
    assert request.constraint is None
    return f"Once more. {right}"


def test_a_reply_is_reconsidered_in_prose_and_its_first_pass_is_the_condition_itself(tmp_path: Path) -> None:
    counting = Counting(thinks_again)
    this = job(tmp_path, counting, conditions=RECONSIDERED, prompts={"p": SAID})
    rows = run(this)
    assert set(counting.asked.values()) == {1}
    assert len(counting.asked) == 16 + 16, "two first passes for four cells, and two second ones"
    by = {name: [row for row in rows if row.condition == name] for name in RECONSIDERED}
    assert {name: {row.correct for row in found} for name, found in by.items()} == {
        "free_cot": {True},
        "free_cot_reconsidered": {True},
        "json_schema": {False},
        "json_schema_reconsidered": {True},
    }
    for before, after in zip(by["json_schema"], by["json_schema_reconsidered"]):
        assert after.text.startswith("Once more.")
        assert (after.status, after.reasoning_words) == ("ok", before.reasoning_words)
        assert after.completion_tokens == before.completion_tokens + len(after.text.split())
    folders = {cell.condition: cell.folder(this.results) for cell in this.cells}
    first = [one.request.key for one in folders["json_schema_reconsidered"].requests() if not one.after]
    assert first == [row.request_key for row in by["json_schema"]]
    counting = Counting(thinks_again)
    assert run(job(tmp_path, counting, conditions=RECONSIDERED, prompts={"p": SAID})) == rows
    assert not counting.asked


def test_a_run_and_its_table_say_that_all_is_unlocked(tmp_path: Path) -> None:
    rows = run(job(tmp_path, thinks_again, conditions=RECONSIDERED, prompts={"p": SAID}))
    axes = {name: asdict(condition) for name, condition in RECONSIDERED.items()}
    table = reconsidered_table(pd.DataFrame([row.as_dict() for row in rows]), axes, draws=100)
    found = table[(table.condition == "json_schema_reconsidered") & (table.reading == "strict")].iloc[0]
    assert (found.before, found.locked, found.unlocked) == ("json_schema", 8, 1)


def test_probes_see_each_pass_as_the_condition_that_it_was(tmp_path: Path) -> None:
    this = job(tmp_path, thinks_again, conditions=RECONSIDERED, prompts={"p": SAID})
    run(this)
    cell = next(cell for cell in this.cells if cell.condition == "json_schema_reconsidered")
    found = list(cell_replies(cell.folder(this.results), this.tasks["addition"], this.conditions[cell.condition]))
    assert len(found) == 16
    for one in found:
        assert one.condition == RECONSIDERED["json_schema" if one.request.constraint else "free_cot"]


def test_a_prompt_without_words_for_it_asks_no_reconsidering(tmp_path: Path) -> None:
    counting = Counting(thinks_again)
    with pytest.raises(UserError, match=r"condition free_cot_reconsidered asks for a new answer, and prompt p has no words for"):
        run(job(tmp_path, counting, conditions=RECONSIDERED))
    assert not counting.asked


def test_a_cell_that_comes_later_takes_over_what_another_has_generated(tmp_path: Path) -> None:
    run(job(tmp_path, converts, conditions={"free_cot": CONVERTED["free_cot"]}))
    turns = Counter[int]()

    def counted(request: Request) -> str:
        turns[len(request.messages)] += 1
        return converts(request)

    run(job(tmp_path, counted, conditions=CONVERTED))
    assert turns == {3: 16}, "no first pass runs again"


def test_running_again_generates_nothing_and_scoring_needs_no_engine(tmp_path: Path) -> None:
    this = job(tmp_path, converts, conditions=CONVERTED)
    rows = run(this)
    counting = Counting(converts)
    assert run(job(tmp_path, counting, conditions=CONVERTED)) == rows
    assert not counting.asked
    again = [
        score(cell.folder(this.results), cell, this.tasks[cell.task], this.conditions[cell.condition]) for cell in this.cells
    ]
    assert [row for cell in again for row in cell] == rows
    assert all(cell.folder(this.results).manifest()["status"] == "complete" for cell in this.cells)
    assert {len(requests) for requests in plan(this).values()} == {8}, "a plan knows the first passes"


def test_what_the_engine_fails_on_has_no_second_pass(tmp_path: Path) -> None:
    rows = run(job(tmp_path, backend=Failing(), conditions={"nl_to_json": CONVERTED["nl_to_json"]}))
    assert [row.status for row in rows] == ["engine_error"] * 8


def test_first_passes_alone_are_incomplete_and_no_rows(tmp_path: Path) -> None:
    """The journal of a run that was killed between the passes."""
    this = job(tmp_path, converts, conditions={"nl_to_json": CONVERTED["nl_to_json"]})
    run(this)
    (cell,) = this.cells
    folder = cell.folder(this.results)
    first = [one for one in folder.requests() if not one.after]
    kept = [generation for generation in folder.generations() if generation.key in {one.request.key for one in first}]
    (folder.path / "generations.jsonl").unlink()
    with RunFolder(folder.path) as emptied:
        for generation in kept:
            emptied.append(generation)
    assert score(folder, cell, this.tasks[cell.task], this.conditions[cell.condition]) == []
    assert folder.manifest()["status"] == "incomplete"
    counting = Counting(converts)
    assert all(row.correct for row in run(job(tmp_path, counting, conditions={"nl_to_json": CONVERTED["nl_to_json"]})))
    assert len(counting.asked) == 8


def slow_run(folder: Path) -> None:
    run(job(folder, slowly(converts, folder / "trace"), conditions=CONVERTED))


def test_kill_and_resume_in_either_pass(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    moments = (3, 7, 11, 17, 22)  # first passes are the first eight
    kills = sum(killed_when(lambda stop=stop: len(asked(trace)) >= stop, slow_run, tmp_path) for stop in moments)
    assert kills >= 4
    assert all(row.correct for row in run(job(tmp_path, converts, conditions=CONVERTED)))
    counts = Counter(asked(trace))
    assert counts.total() - len(counts) <= kills, "at most the request in flight runs again"
