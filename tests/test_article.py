"""paper/paper.tex: its numbers stand in the tables, its citations in references.bib, what it shows in paper/; and it compiles."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.conftest import ROOT

PAPER = ROOT / "paper"
TEXT = (PAPER / "paper.tex").read_text(encoding="utf-8")
RESULTS = TEXT.partition("% results\n")[2].partition("% end of results")[0]
NUMBER = re.compile(r"[-+]?\d+\.\d+")


def test_every_number_of_the_results_stands_in_a_table() -> None:
    """With its sign, as a table shows it; of a part of a loss the table has the sign."""
    shown = {number for path in PAPER.rglob("*.md") if path.name != "README.md" for number in NUMBER.findall(path.read_text())}
    shown |= {number.lstrip("+") for number in shown}
    used = NUMBER.findall(re.sub(r"keepaspectratio|height=\S+", "", RESULTS))
    assert len(used) > 60
    assert [number for number in used if number not in shown] == []


def test_every_citation_is_in_the_references_and_every_reference_is_cited() -> None:
    cited = {key.strip() for keys in re.findall(r"\\cite\{([^}]*)\}", TEXT) for key in keys.split(",")}
    known = re.findall(r"^@\w+\{(\w+),", (PAPER / "references.bib").read_text(encoding="utf-8"), re.M)
    assert cited == set(known)
    assert len(known) == len(set(known))


def test_what_it_shows_is_there() -> None:
    shown = re.findall(r"\\(?:input|includegraphics(?:\[[^]]*\])?)\{([^}]*)\}", TEXT)
    assert len(shown) >= 3
    assert [name for name in shown if not (PAPER / name).is_file()] == []


@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("pdflatex") and shutil.which("bibtex")), reason="no LaTeX on this machine")
def test_it_compiles_into_four_to_six_pages(tmp_path: Path) -> None:
    done = subprocess.run(["sh", PAPER / "article.sh", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    log = (tmp_path / "paper.log").read_text(encoding="latin-1")
    assert "undefined" not in log
    pages = re.search(r"\((\d+) pages", log)
    assert pages
    assert 4 <= int(pages[1]) <= 6


def skeleton() -> Any:
    spec = importlib.util.spec_from_file_location("skeleton", PAPER / "main" / "skeleton.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_skeleton_answers_from_the_cells_it_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the committed study; the repetition is that study again, but for one contrast of the other sign."""
    planned = pd.read_csv(PAPER / "planned.csv")
    (tmp_path / "again").mkdir()
    planned.to_csv(tmp_path / "planned.csv")
    turned = (planned.task == "task280") & (planned.contrast == "json_schema - free_cot")
    again = planned.copy()
    for one, other in (("difference", "difference"), ("low", "high"), ("high", "low")):
        again.loc[turned, f"latent_{one}"] = -planned.loc[turned, f"latent_{other}"]
    again.to_csv(tmp_path / "again" / "planned.csv")
    skeleton().main(tmp_path)
    page = capsys.readouterr().out
    assert page.count("## ") == 12
    assert (
        "- qwen2_5_coder_0_5b, gsm8k: strict +0.2 [-4.4, +5.1], like these [-5.2, +5.9], not again; "
        "latent -8.8 [-13.7, -3.8], like these [-18.7, +1.9], beyond the first, again [planned: gsm8k / json_schema - free_cot]"
    ) in page
    assert "strict +25.2 [+17.2, +32.6], like these [+15.6, +33.9], beyond both, again; latent +23.8" in page
    assert "like these [+14.9, +31.7], beyond both, not again [planned: task280 / json_schema - free_cot]" in page
    assert "- not asked in this study: no line of nl_to_json against json_schema [planned]" in page
