"""The .tex files: their structure always, and that a LaTeX makes pages of them where one is installed."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments.reporting.presets import condition_presets
from fmtbench.analysis.showing.text import PAGE, latex
from tests.commanding import called
from tests.conftest import options
from tests.made_rows import coins, made_rows


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every table, from rows that have the cells for all of them and names that LaTeX would trip over."""
    root = tmp_path_factory.mktemp("latex")
    names = ["free_cot", "direct", "restricted_cot_25", "json_prompt", "json_schema", "json_schema_answer_first", "odd_50%_&_#1"]
    assert {*names[:-1]} <= set(condition_presets())
    gold = {name: np.resize(["yes", "no"], 60) for name in names}
    rows: Any = made_rows({name: coins(i, 60, p=0.7) for i, name in enumerate(names)}, task="last_letter", gold=gold)
    folder = root / "json_schema"  # its config plans a contrast
    folder.mkdir()
    rows[rows.condition == "json_schema"].to_parquet(folder / "rows.parquet")
    rows[rows.condition != "json_schema"].to_parquet(root / "rows.parquet")
    settings = {"condition": {"json_schema": condition_presets()["json_schema"]}, "planned": ["json_schema"]}
    (folder / "config.yaml").write_text(json.dumps(settings))
    called("tables", f"results={root}", "draws=200")
    return root / "tables"


@pytest.mark.parametrize("name", options("table"))
def test_structure(written: Path, name: str) -> None:
    lines = (written / f"{name}.tex").read_text().splitlines()
    body = [line for line in lines if not line.startswith("%")]
    assert next(line for line in body if line.startswith("\\begin")) == "\\begin{table}"
    (columns,) = re.findall(r"\\begin\{tabular\}\{([lr]+)\}", "\n".join(body))
    rules = [i for i, line in enumerate(body) if line in ("\\toprule", "\\midrule", "\\bottomrule")]
    assert len(rules) == 3
    for line in body[rules[0] + 1 : rules[2]]:
        if line != "\\midrule":
            assert line.endswith(r" \\")
            assert len(re.findall(r"(?<!\\)&", line)) == len(columns) - 1
    assert not any(re.search(r"(?<!\\)[#%_]", line) for line in body[1:] if not line.startswith("\\label"))


def test_a_table_longer_than_a_page_breaks() -> None:
    short, long = (latex(pd.DataFrame({"task": ["a_b"] * n}), "x", "A caption", "From here.") for n in (PAGE, PAGE + 1))
    assert "longtable" not in short
    assert long.count(r"\begin{longtable}{l}") == long.count(r"\end{longtable}") == 1
    assert r"\begin{table}" not in long
    assert long.index(r"\caption") < long.index(r"\endhead") < long.index(r"a\_b")
    assert long.count("{") == long.count("}")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
def test_the_document_of_all_tables_and_figures_compiles(written: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"-output-directory={tmp_path}", "document.tex"],
        cwd=written,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "document.pdf").read_bytes().startswith(b"%PDF")
