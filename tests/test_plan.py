"""`python -m experiments.plan`: counts, cost and power, before anything runs."""

from pathlib import Path

import numpy as np
import pytest

from fmtbench.analysis.statistics.exact import detectable
from fmtbench.analysis.statistics.pairs import Pair
from fmtbench.analysis.statistics.power import assumed_power, observed_discordance
from fmtbench.store.folder import RunFolder, cell_path
from fmtbench.types import Generation
from tests.commanding import command
from tests.made_rows import made_rows


def said(name: str, *arguments: str) -> str:
    done = command(name, *arguments)
    assert done.code == 0, done.err
    return done.out


def test_power_matches_the_published_figures() -> None:
    """80% power, two-sided 5%, 10, 20 and 30% discordant: 2.4, 3.4 and 4.2 points for the 1319 items of GSM8K."""
    assert [round(100 * mde, 1) for mde in assumed_power(1319).values()] == [2.4, 3.4, 4.2]


def test_a_pilot_shows_its_disagreement() -> None:
    rows = made_rows({"free_cot": np.ones(20), "direct": np.arange(20) >= 5})
    (line,) = observed_discordance(rows, [Pair("direct", "free_cot"), Pair("absent", "free_cot")]).itertuples()
    assert (line.n, line.discordance) == (20, pytest.approx(0.25))


def test_before_and_after_a_run(tmp_path: Path) -> None:
    arguments = ("backend=scripted", f"results={tmp_path}", "limit=4", "task=[capitals]")
    before = said("plan", *arguments)
    assert "5 cells, 20 requests, 0 journalled, 20 to generate" in before
    assert "at 10%" in before
    assert not any(tmp_path.iterdir()), "a plan writes nothing"
    said("run", *arguments)
    after = said("plan", *arguments)
    assert "20 journalled, 0 to generate" in after
    assert "none of 4 pilot items disagreed" in after


def test_a_pilot_elsewhere_gives_cost_and_disagreement(tmp_path: Path) -> None:
    """Journals and rows written by hand: free_cot replies are twice as long as direct ones; a quarter of the items disagree."""
    for condition, tokens, right in (("free_cot", 40, np.ones(20)), ("direct", 20, np.arange(20) >= 5)):
        path = cell_path(tmp_path, "pilot", "smollm2_135m", "capitals", condition, "plain-seed0")
        with RunFolder(path) as folder:
            for i in range(20):
                folder.append(Generation(key=str(i), text="a", token_ids=tuple(range(tokens)), seconds=tokens / 10))
        made_rows({condition: right}, backbone="smollm2_135m", task="capitals").to_parquet(path / "rows.parquet")
    page = said(
        "plan",
        *("backend=scripted", f"results={tmp_path}/new", "name=big", "limit=100", f"pilot={tmp_path / 'pilot'}"),
        *("task=[capitals]", "condition=[free_cot,direct]", "planned=[direct]"),
    )
    assert "2 cells, 200 requests, 0 journalled, 200 to generate" in page
    assert "About 6,000 tokens to generate, 10 min; " in page
    assert "ran at 10 tokens/s" in page
    assert "kB of journal to come" in page
    assert f"direct - free_cot, 100 items: {100 * detectable(25, 100):.1f} at the observed disagreement of 25%" in page


def test_a_pilot_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = command("plan", f"pilot={tmp_path}")
    assert done.code == 2
    assert "holds no results" in done.error
