"""A server that fails is not believed: its errors are no results, and no table is made of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fmtbench.analysis.rows.broken import MOST_ERRORS, broken, broken_notes, without_broken
from fmtbench.analysis.showing.readable import readable
from fmtbench.analysis.tables.main import accuracy_table
from fmtbench.errors import ServerError, UserError
from fmtbench.running.fuse import IN_A_ROW, WINDOW, fused
from fmtbench.types import Generation
from tests.commanding import Done, command
from tests.http_server import Answer, Body, completion, obedient, serving
from tests.made_rows import made_rows


def run(url: str, results: Path, *words: str) -> Done:
    chosen = ("task=[addition]", "condition=[free_cot]", "limit=40", "name=x", "backbone=served", "backend=server")
    patience = ("backend.dialect=openai", "backend.retries=0", "backend.concurrency=4")
    return command("run", *chosen, *patience, f"backend.url={url}", f"results={results}", *words)


def manifest(results: Path) -> Any:
    (path,) = results.rglob("manifest.json")
    return json.loads(path.read_text())


class Moody:
    """Obeys the probe; answers the rest as its mood is."""

    def __init__(self, mood: Any) -> None:
        self.mood, self.asked = mood, 0

    def __call__(self, body: Body) -> Answer:
        if "response_format" in body:
            return obedient(body)
        self.asked += 1
        return self.mood(self.asked) if callable(self.mood) else self.mood


def last(done: Done) -> str:
    """The one line of the error: the server of the tests complains on the same stream."""
    (line,) = [line for line in done.err.splitlines() if line.startswith("error: ")]
    return line


@pytest.mark.parametrize(
    "dead",
    [
        Answer({"error": {"message": "worker died"}}, 500),
        pytest.param(Answer({"error": {"message": "no backend is there"}}, 400), marks=pytest.mark.slow),
        pytest.param(completion("", finish_reason="abort"), marks=pytest.mark.slow),
    ],
)
def test_a_dead_server_stops_the_run_and_the_same_command_goes_on(tmp_path: Path, dead: Answer) -> None:
    server = Moody(dead)
    with serving(server) as seen:
        done = run(seen.url, tmp_path)
        assert done.code == 1
        assert last(done)
        assert not list(tmp_path.rglob("accuracy.csv")), "no table of zeros"
        server.mood = completion("The answer is 3.")
        again = run(seen.url, tmp_path)
        assert again.code == 0, again.err
    assert (manifest(tmp_path)["status"], manifest(tmp_path)["transient"]) == ("complete", 0)
    (rows,) = map(pd.read_parquet, tmp_path.rglob("rows.parquet"))
    assert (len(rows), set(rows.status)) == (40, {"ok"})


def test_a_few_failures_of_transport_are_asked_again(tmp_path: Path) -> None:
    server = Moody(lambda asked: Answer("", 500) if asked % 8 == 0 else completion("The answer is 3."))
    with serving(server) as seen:
        done = run(seen.url, tmp_path)
        assert (done.code, last(done)) == (
            1,
            "error: 5 requests got no answer, and their cells are incomplete: the same command asks them again",
        )
        assert (manifest(tmp_path)["status"], manifest(tmp_path)["transient"]) == ("incomplete", 5)
        assert "addition/free_cot has no accuracy: 5 of its 40 replies are engine errors" in done.out
        server.mood, server.asked = completion("The answer is 3."), 0
        assert run(seen.url, tmp_path).code == 0
    assert (server.asked, manifest(tmp_path)["status"]) == (5, "complete")


def test_a_request_of_its_own_fault_stays_failed(tmp_path: Path) -> None:
    server = Moody(lambda asked: Answer({"error": "too long"}, 400) if asked == 20 else completion("The answer is 3."))
    with serving(server) as seen:
        assert run(seen.url, tmp_path).code == 0
        asked = server.asked
        assert run(seen.url, tmp_path).code == 0
    assert server.asked == asked
    assert (manifest(tmp_path)["status"], manifest(tmp_path)["statuses"]) == ("incomplete", {"engine_error": 1, "ok": 39})


def said(*transient: bool) -> Iterator[Generation]:
    for one in transient:
        yield Generation(key="k", text="", finish_reason="error" if one else "stop", transient=one, error="gone")


def test_the_fuse_passes_on_what_it_counts() -> None:
    stream = fused(said(*[False] * 3, *[True] * 50))
    assert len(list(islice(stream, 3 + IN_A_ROW))) == 3 + IN_A_ROW, "the last one, too, so that it is journalled"
    with pytest.raises(ServerError, match=f"the last {IN_A_ROW} replies failed"):
        next(stream)
    with pytest.raises(ServerError, match=f"51 of the last {WINDOW} replies failed"):
        list(fused(said(*[True, False] * 49, True, True, False)))


def test_the_fuse_holds_where_half_or_less_fails() -> None:
    assert len(list(fused(said(*[True, False] * 200)))) == 400


# -- tables


def rows_with(errors: int, of: int = 40) -> pd.DataFrame:
    """One task, a reference that always works and a condition with so many engine errors."""
    whole = made_rows({"free_cot": [True] * of, "direct": [True] * of})
    failed = (whole.condition == "direct") & whole.groupby("condition").cumcount().lt(errors)
    whole.loc[failed, ["status", "correct", "latent_correct"]] = ["engine_error", False, False]
    return whole


def test_a_cell_with_many_errors_has_no_accuracy() -> None:
    shown = readable(accuracy_table(rows_with(3))).set_index("condition")
    assert list(shown.loc["direct", ["strict", "latent", "Δ strict", "Δ latent"]]) == ["-", "-", "", ""]
    assert shown.loc["free_cot", "strict"].startswith("100 ")
    assert broken_notes(rows_with(3))[0].endswith("direct has no accuracy: 3 of its 40 replies are engine errors")
    assert set(without_broken(rows_with(3)).condition) == {"free_cot"}


def test_up_to_the_limit_errors_count_as_wrong() -> None:
    assert rows_with(2).condition.eq("direct").sum() * MOST_ERRORS == 2
    shown = readable(accuracy_table(rows_with(2))).set_index("condition")
    assert shown.loc["direct", "strict"].startswith("95 ")
    assert broken(rows_with(2)).empty
    assert without_broken(rows_with(2)).shape == rows_with(2).shape


def test_nothing_but_broken_cells() -> None:
    rows = rows_with(40)
    with pytest.raises(UserError, match="in every cell the engine failed"):
        without_broken(rows[rows.condition == "direct"])


def test_no_difference_to_a_broken_reference() -> None:
    rows = rows_with(40).replace({"condition": {"free_cot": "direct", "direct": "free_cot"}})
    shown = readable(accuracy_table(rows)).set_index("condition")
    assert (shown.loc["direct", "Δ strict"], shown.loc["free_cot", "strict"]) == ("", "-")
