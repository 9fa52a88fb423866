"""Two passes: the second is made from the first's reply, both cost, and a kill anywhere in between loses nothing."""

from collections import Counter
from pathlib import Path
from typing import Any

from fmtbench.conditions.condition import Condition
from fmtbench.running.pipeline import run
from fmtbench.running.planning import plan
from fmtbench.running.scoring import score
from fmtbench.store.folder import RunFolder
from fmtbench.types import Request
from tests.killing import asked, killed_when, slowly
from tests.test_pipeline import Counting, Failing, adds, job

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
