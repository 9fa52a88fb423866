"""`python -m experiments.plan`: counts, cost and power, before anything runs."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fmtbench.analysis.contrasts import Pair
from fmtbench.analysis.power import assumed_power, observed_discordance
from tests.conftest import ROOT
from tests.made_rows import made_rows


def command(module: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", module, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_power_matches_the_published_figures() -> None:
    """80% power, two-sided 5%, 10, 20 and 30% discordant: 2.4, 3.4 and 4.2 points for the 1319 items of GSM8K."""
    assert [round(100 * mde, 1) for mde in assumed_power(1319).values()] == [2.4, 3.4, 4.2]


def test_a_pilot_shows_its_disagreement() -> None:
    rows = made_rows({"free_cot": np.ones(20), "direct": np.arange(20) >= 5})
    (line,) = observed_discordance(rows, [Pair("direct", "free_cot"), Pair("absent", "free_cot")]).itertuples()
    assert (line.n, line.discordance) == (20, pytest.approx(0.25))


def test_before_and_after_a_run(tmp_path: Path) -> None:
    arguments = ("backend=scripted", f"results={tmp_path}", "limit=4", "task=[capitals]")
    before = command("experiments.plan", *arguments)
    assert "5 cells, 20 requests, 0 journalled, 20 to generate" in before
    assert "at 10%" in before
    assert not any(tmp_path.iterdir()), "a plan writes nothing"
    command("experiments.run", *arguments)
    after = command("experiments.plan", *arguments)
    assert "20 journalled, 0 to generate" in after
    assert "at the observed disagreement of" in after
