"""`rerun_truncated=4`: replies that were cut are asked again with more tokens, once, and say what truncation took."""

from pathlib import Path

import pytest

from fmtbench.analysis.rows.frame import load_rows
from fmtbench.analysis.tables.contrasts import contrast_table
from fmtbench.analysis.tables.decomposition import decomposition_table
from fmtbench.analysis.tables.main import accuracy_table
from fmtbench.conditions.condition import Condition
from fmtbench.running.job import Job
from fmtbench.running.pipeline import run
from fmtbench.running.rerunning import rerun_of
from fmtbench.types import Request, Row, Sampling
from tests.commanding import command
from tests.killing import asked, slowly
from tests.test_pipeline import adds, job

WORDY = {"free_cot": Condition(), "staged": Condition(reasoning="staged")}
AXES = {"free_cot": {}, "staged": {"reasoning": "staged"}}


def rambles(request: Request) -> str:
    """Where it is asked for stages: sixty words before the answer to an even sum, and a wrong answer after them to an odd one."""
    reply, words = adds(request), [f"w{i}" for i in range(60)]
    if "Parts" not in request.messages[0].content:
        return reply
    total = int(reply.rstrip(".").rpartition(" ")[2])
    return " ".join(words) + f" The answer is {total + total % 2}."


def again(this: Job, rows: list[Row]) -> Job:
    found = rerun_of(this, rows, 4)
    assert found is not None
    return found


def both(this: Job) -> list[Row]:
    rows = run(this)
    return [*rows, *run(again(this, rows))]


def test_what_was_cut_is_run_again_and_nothing_else(tmp_path: Path) -> None:
    this = job(tmp_path, rambles, conditions=WORDY, sampling=Sampling(max_tokens=50, temperature=1.0, samples=2))
    rows = both(this)
    cut = {(row.item_id, row.sample) for row in rows if row.condition == "staged"}
    rerun = [row for row in rows if row.condition == "staged_rerun"]
    assert {(row.item_id, row.sample) for row in rerun} == cut
    assert {row.status for row in rows if row.condition == "staged"} == {"truncated"}
    assert {row.status for row in rerun} == {"ok"}
    assert not any(row.condition == "free_cot_rerun" for row in rows)
    folders = {cell.condition: cell.folder(this.results) for cell in (*this.cells, *again(this, rows).cells)}
    first, second = (
        {(one.item.id, one.sample): one.request for one in folders[name].requests()} for name in ("staged", "staged_rerun")
    )
    for key, request in second.items():
        assert (request.messages, request.seed, request.max_tokens) == (first[key].messages, first[key].seed, 200)
        assert request.key != first[key].key


def test_a_rerun_is_resumed(tmp_path: Path) -> None:
    trace = tmp_path / "asked"

    def fails_at_the_third(request: Request) -> str:
        if request.max_tokens == 200 and len(asked(trace)) >= 18:
            raise RuntimeError("the machine went away")
        return slowly(rambles, trace)(request)

    this = job(tmp_path, fails_at_the_third, conditions=WORDY)
    with pytest.raises(RuntimeError, match="went away"):
        both(this)
    assert len(asked(trace)) == 18
    before = {path: path.read_bytes() for path in this.results.rglob("generations.jsonl") if "rerun" not in str(path)}
    rows = both(job(tmp_path, slowly(rambles, trace), conditions=WORDY))
    assert len(asked(trace)) == len(set(asked(trace))) == 24, "8 free, 8 in stages, and these 8 again; none twice"
    assert sum(row.condition == "staged_rerun" for row in rows) == 8
    assert before == {path: path.read_bytes() for path in before}, "the journals of what was cut are as they were"


def test_the_decomposition_learns_what_truncation_took(tmp_path: Path) -> None:
    """All eight are cut off. Even sums were right and odd ones wrong, had they gone on: the range shrinks to that share."""
    this = job(tmp_path, rambles, conditions=WORDY)
    rows = both(this)
    even = sum(int(row.gold) % 2 == 0 for row in rows if row.condition == "staged") / 8
    assert 0 < even < 1
    frame = load_rows(this.results)
    table = decomposition_table(frame, AXES, draws=200).set_index("component")
    cut = table.loc["truncation"]
    assert (cut.value, cut.range_low, cut.range_high) == pytest.approx((even, even, even))
    assert table.value["wording"] == pytest.approx(1 - even), "what was wrong though whole is the wording's"
    assert cut.note == "rerun of truncated items"
    without = decomposition_table(frame[frame.condition != "staged_rerun"], AXES, draws=200).set_index("component")
    assert (without.range_low["truncation"], without.range_high["truncation"]) == (0, 1)
    for made in (accuracy_table(frame, draws=200), contrast_table(frame, draws=200)):
        assert "staged_rerun" not in set(made["condition"])


def test_where_nothing_was_cut_nothing_runs(tmp_path: Path) -> None:
    this = job(tmp_path)
    assert rerun_of(this, run(this), 4) is None


def test_from_the_command_line_to_the_tables(tmp_path: Path) -> None:
    """Replies of a scripted model, cut after two words; four times as many are enough."""
    words = ("backend=scripted", f"results={tmp_path}", "name=cut", "task=[capitals]", "limit=4", "sampling.max_tokens=2")
    words = (*words, "condition=[free_cot,json_schema]", "planned=[]", "rerun_truncated=4")
    done = command("run", *words)
    assert done.code == 0, done.err
    folders = {path.parent.parent.name for path in tmp_path.rglob("rows.parquet")}
    assert "free_cot_rerun" in folders
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.name in ("generations.jsonl", "rows.parquet")}
    assert command("run", *words).code == 0
    assert before == {path: path.read_bytes() for path in before}
    assert command("score", f"results={tmp_path / 'cut'}").code == 0
    made = command("tables", f"results={tmp_path / 'cut'}", "table=[decomposition,main]", "figure=[]", "draws=200")
    (cut,) = made.err.splitlines()
    assert made.code == 0, "neither other tokens nor fewer items are a reason not to compare, or a gap"
    assert cut.startswith("Replies were cut at the token limit: capitals/free_cot 100%, capitals/json_schema 100%.")
    assert "rerun of truncated items" in (tmp_path / "cut" / "tables" / "appendix" / "decomposition.csv").read_text()


@pytest.mark.parametrize("times", ["1", "0", "-4", "99999999"])
def test_a_number_that_makes_no_sense_is_one_line(times: str) -> None:
    done = command("run", f"rerun_truncated={times}", "backend=scripted")
    assert done.code == 2
    assert "rerun_truncated=" in done.error
