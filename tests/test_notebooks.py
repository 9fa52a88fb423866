"""Every notebook runs on a small packed study, in a real kernel, and imports the store, the analysis or public names only."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.notebooks import execute
from fmtbench.analysis.showing.figures import COLOURS
from fmtbench.analysis.showing.gallery import COLOURS as CARDS
from fmtbench.analysis.showing.gallery import gallery, most_divided
from tests.conftest import ROOT
from tests.made_rows import made_rows
from tests.made_study import HOSTILE
from tests.packed_study import small_study

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
SHOWS = {
    "01_generations": ["right answer", "image/png"],
    "02_contrasts_and_decomposition": ["sum exactly", "image/png"],
    "03_lockin": ["retention", "image/png"],
    "04_embeddings_and_drift": ["image/png", "95.0", "To be used here: e for t (b, prompt p)."],
    "05_your_own_results": ["by hand", "image/png", "addition/"],
    "06_published_replies": ["800 transcripts", "image/png", "answers first"],
}


def run(results: Path, output: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "experiments.notebooks", f"results={results}", f"output={output}"]
    home = os.environ | {"JUPYTER_PLATFORM_DIRS": "1", "IPYTHONDIR": str(output / "ipython")}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=home)


@pytest.mark.slow
def test_they_run_and_show_something(tmp_path: Path) -> None:
    studies = small_study(tmp_path)
    drift = {"backbone": "b", "task": "t", "prompt": "p", "seed": 0, "embedder": "e", "condition": ["json_schema", "direct"]}
    numbers = {"items": 30, "gate": 0.95, "passed": True, "drift": 0.2, "drift_low": 0.1, "drift_high": 0.3}
    shares = {"link": np.nan, "link_low": np.nan, "link_high": np.nan, "share_item": 0.6, "share_format": 0.1}
    pd.DataFrame(drift | numbers | shares).to_csv(studies.packed / "drift.csv", index=False)
    done = run(studies.packed, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    for source in NOTEBOOKS:
        shown = json.dumps(json.loads((tmp_path / "out" / f"{source.stem}.ipynb").read_text())["cells"])
        assert [word for word in SHOWS[source.stem] if word not in shown] == []
        assert '"output_type": "error"' not in shown
        assert '"name": "stderr"' not in shown, "a warning of the kernel or of a library"
        page = (tmp_path / "out" / f"{source.stem}.html").read_text()
        assert "<img" in page


@pytest.mark.slow
def test_without_drift_the_notebook_says_so_and_shows_no_empty_heading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "results").mkdir()
    monkeypatch.setenv("FMTBENCH_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    execute(next(path for path in NOTEBOOKS if path.stem.startswith("04")), tmp_path)
    cells = json.loads((tmp_path / "04_embeddings_and_drift.ipynb").read_text())["cells"]
    shown = json.dumps([cell.get("outputs") for cell in cells])
    assert "There is no `drift.csv` beside these results" in shown
    assert "## " not in shown
    assert not [cell for cell in cells if cell["cell_type"] == "markdown" and "## " in "".join(cell["source"])]


def test_green_means_right_and_nothing_else() -> None:
    """On cards and in figures; a colour is green where that is by far its strongest part."""

    def green(colour: str) -> bool:
        red, own, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        return own > 1.2 * max(red, blue)

    assert [verdict for verdict, colour in CARDS.items() if green(colour)] == ["right"]
    assert not [colour for colour in COLOURS if green(colour)]


def test_a_mistake_is_one_line(tmp_path: Path) -> None:
    done = run(tmp_path / "nowhere", tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "is no folder: give a results folder" in done.stderr


@pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda path: path.stem)
def test_imports(source: Path) -> None:
    code = "\n".join("" if line.lstrip().startswith("%") else line for line in source.read_text().splitlines())
    found = {node.module for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)}
    ours = {str(name) for name in found if str(name).split(".")[0] in ("fmtbench", "experiments")}
    assert ours
    assert all(name.startswith(("fmtbench.store.folder", "fmtbench.analysis", "fmtbench.errors")) for name in ours)


def test_the_gallery_reads_no_reply_as_html() -> None:
    rows = made_rows({"free_cot": [[1], [0]], "direct": [[1], [1]]}, text=HOSTILE, question=HOSTILE)
    page = gallery(rows, "1")
    assert "<script" not in page
    assert "<img" not in page
    assert page.index("free_cot") < page.index("direct")
    assert most_divided(rows) == "1"
