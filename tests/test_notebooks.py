"""Every notebook runs on a small packed study, in a real kernel, and knows the library by its store and analysis only."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

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
    "04_embeddings_and_drift": ["image/png", "95.0"],
    "05_your_own_results": ["by hand", "image/png"],
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
        page = (tmp_path / "out" / f"{source.stem}.html").read_text()
        assert "<img" in page


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
