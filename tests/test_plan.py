"""`python -m experiments.plan`: counts, cost and power, before anything runs."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.plan import _duration
from fmtbench.analysis.statistics.exact import detectable
from fmtbench.analysis.statistics.pairs import Pair
from fmtbench.analysis.statistics.power import assumed_power, observed_discordance
from fmtbench.store.folder import RunFolder, cell_path
from fmtbench.types import Generation
from tests.commanding import command
from tests.made_rows import coins, made_rows


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
        *("task=[capitals]", "condition=[free_cot,direct]", "planned=[direct]", "tokens_per_second=2.5"),
    )
    assert "2 cells, 200 requests, 0 journalled, 200 to generate" in page
    assert f"On the machine of the study: {6000 / 2.5 / 3600:.1f} GPU hours at 2.5 tokens/s" in page
    assert "About 6,000 tokens to generate, 10 min; " in page
    assert "ran at 10 tokens/s" in page
    assert "kB of journal to come" in page
    assert f"direct - free_cot, 100 items: {100 * detectable(25, 100):.1f} at the observed disagreement of 25%" in page


@pytest.fixture(scope="module")
def pilot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of two conditions, 200 items, 3 prompts and 2 samples; a fifth of the verdicts differ."""
    root = tmp_path_factory.mktemp("pilot")
    free = coins(1, 200, 3, 2)
    rows = made_rows(
        {"free_cot": free, "json_schema": free ^ coins(2, 200, 3, 2, p=0.2)}, backbone="smollm2_135m", task="capitals"
    )
    rows.assign(completion_tokens=50, seconds=0.5).to_parquet(root / "rows.parquet")
    return root


ASKED = ("backend=scripted", "task=[capitals]", "condition=[free_cot,json_schema]", "planned=[json_schema]", "limit=40")


def test_what_a_study_must_be_to_see_a_difference(pilot: Path) -> None:
    page = said("plan", *ASKED, f"pilot={pilot}", "detect=10", "sampling.temperature=0.7", "tokens_per_second=10")
    assert "To see 10 points four times in five" in page
    assert "capitals: json_schema - free_cot (pilot: 200 items, 3 prompts)" in page
    numbers = r"([\d,]+) items x (\d+) prompts? x (\d+) samples?: ([\d,]+) requests, ([\d,]+) tokens, (.+)"
    sizes = re.findall(f"(these prompts|prompts like these): {numbers}", page)
    assert [size[0] for size in sizes] == ["these prompts", "prompts like these"]
    for _, *counts, time in sizes:
        items, prompts, samples, requests, tokens = (int(number.replace(",", "")) for number in counts)
        assert requests == 2 * items * prompts * samples, "both conditions are asked"
        assert tokens == 50 * requests
        assert time == _duration(tokens / 10)
    assert "json_schema: asking + masking stay together in its decomposition; to separate them run json_prompt or" in page


def test_what_is_out_of_reach_says_what_would_do(pilot: Path) -> None:
    page = said("plan", *ASKED, f"pilot={pilot}", "detect=0.5", "most_prompts=2")
    assert re.search(r"these prompts: out of reach with the \d+ items of capitals: at best \d+\.\d points", page)


def test_a_look_halfway(pilot: Path, tmp_path: Path) -> None:
    rows = pd.read_parquet(pilot / "rows.parquet")
    some = "backend=scripted", "task=[capitals]", "condition=[free_cot,json_schema]", "planned=[json_schema]"
    half = tmp_path
    kept = rows[rows.item_id.astype(int) < 20]
    kept.to_parquet(half / "rows.parquet")
    page = said("plan", *some, "limit=40", f"pilot={half}", "look=2/4")
    assert "capitals: 20 of 40 items, so 0.00305 of 0.05 spent so far; boundary |z| >= 2.963, p <= 0.003." in page
    assert "not crossed: go on" in page
    lost = kept.assign(correct=np.where(kept.condition == "free_cot", True, kept.item_id.astype(int) < 4))
    lost.to_parquet(half / "rows.parquet")
    assert "crossed: it may stop here" in said("plan", *some, "limit=40", f"pilot={half}", "look=2/4")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["detect=0"], "detect=0: give a difference in points, above 0 and below 100"),
        (["detect=-3"], "detect=-3: give a difference"),
        (["detect=100"], "detect=100: give a difference"),
        (["detect=nan"], "detect=nan: give a difference"),
        (["detect=3", "results=/nowhere"], "detect=3 needs results to go by: "),
        (["detect=3", "most_prompts=0"], "most_prompts=0"),
        (["detect=3", "tokens_per_second=0"], "tokens_per_second=0: give a speed above 0"),
        (["look=5/4"], "look=5/4: give the number of this look and of all"),
        (["look=0/4"], "look=0/4"),
        (["look=half"], "look=half"),
        (["look=2/4", "results=/nowhere"], "look=2/4 needs results to go by: "),
    ],
)
def test_a_plan_that_makes_no_sense_is_one_line(words: list[str], line: str) -> None:
    done = command("plan", *ASKED, *words)
    assert (done.code, done.out) == (2, "")
    assert line in done.error


@pytest.mark.parametrize("asked", ["detect=3", "look=2/4"])
def test_a_pilot_without_the_conditions_is_one_line(pilot: Path, asked: str) -> None:
    words = ("backend=scripted", "task=[capitals]", "condition=[free_cot,direct]", "planned=[direct]", "limit=40")
    done = command("plan", *words, f"pilot={pilot}", asked)
    assert (done.code, done.out) == (2, "")
    assert "direct" in done.error
    assert "it has free_cot, json_schema" in done.error


def test_a_pilot_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = command("plan", f"pilot={tmp_path}")
    assert done.code == 2
    assert "holds no results" in done.error
