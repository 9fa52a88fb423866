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
from fmtbench.analysis.showing.latex import PAGE, latex
from tests.commanding import called
from tests.conftest import options
from tests.made_rows import coins, made_rows

MORE = {
    "aligned",
    "along",
    "closing",
    "commitment",
    "decoders",
    "fields",
    "ladder",
    "mass",
    "meta",
    "order",
    "order_contrasts",
    "pilot",
    "reconsidered",
    "remedies",
    "samples",
    "schema_shape",
    "strata",
    "strip",
    "swap",
    "tokens",
}
"""Tables that need records, several tasks, samples, strata, transcripts or a probe."""


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


@pytest.mark.parametrize("name", sorted(set(options("table")) - MORE))
def test_structure(written: Path, name: str) -> None:
    (file,) = written.rglob(f"{name}.tex")
    lines = file.read_text().splitlines()
    body = [line for line in lines if not line.startswith("%")]
    assert next(line for line in body if line.startswith("\\begin")) == "\\begin{table}"
    assert_sized("\n".join(body))
    tabulars = re.findall(r"\\begin\{tabular\}\{([lr]+)\}\n\\toprule\n(.*?)\\bottomrule\n\\end\{tabular\}", "\n".join(body), re.S)
    assert len(tabulars) == "\n".join(body).count("tabular}{")
    for columns, inside in tabulars:
        assert inside.count("\\midrule\n") == 1
        for line in inside.splitlines():
            if not line.startswith(("\\midrule", "\\cmidrule", "\\addlinespace")):
                assert line.endswith((r" \\", r" \\*"))
                wide = sum(int(many) - 1 for many in re.findall(r"\\multicolumn\{(\d+)\}", line))
                assert len(re.findall(r"(?<!\\)&", line)) == len(columns) - 1 - wide
    assert not any(re.search(r"(?<!\\)[#%_]", line) for line in body[1:] if not line.startswith("\\label"))


def assert_sized(text: str) -> None:
    assert r"\small" in text
    assert not re.search(r"\\(tiny|scriptsize|footnotesize|resizebox)\b", text), "nothing is set smaller than small"


def test_what_is_wider_than_the_page_is_split() -> None:
    """The keys stand in every part, neighbours that begin alike stay together, and no part is wider than the page."""
    wide = ["loss", "a, one", "a, two", "b, one", "b, two"]
    table = pd.DataFrame({"condition": ["x" * 20] * 3} | {name: ["-10.0 [-20.0, +10.0]"] * 3 for name in wide})
    text = latex(table, "x", "A caption", "From here.", width=350)
    heads = [line for line in text.splitlines() if line.startswith("condition")]
    assert heads == [r"condition & loss \\", r"condition & one & two \\", r"condition & one & two \\"]
    assert re.findall(r"multicolumn\{2\}\{c\}\{(.)\}", text) == ["a", "b"]
    assert latex(table, "x", "A caption", "From here.", width=1000).count("tabular}{") == 1
    long = latex(pd.concat([table] * PAGE), "x", "A caption", "From here.", width=350)
    assert (long.count(r"\caption"), long.count("addtocounter"), long.count(r"\begin{longtable}")) == (1, 2, 3)
    assert_sized(long)


def test_lines_of_a_cell_stand_under_its_name() -> None:
    table = pd.DataFrame(
        {"backbone": ["a", "a", "b"], "task": ["t", "t", "t"], "condition": ["x", "y", "x"], "n": ["1", "2", "3"]}
    )
    assert [line for line in latex(table, "x", "", "").splitlines() if "textit" in line] == [
        r"\multicolumn{2}{l}{\textit{a, t}} \\*",
        r"\multicolumn{2}{l}{\textit{b, t}} \\*",
    ]
    torn = table.iloc[[0, 2, 1]]
    assert "textit" not in latex(torn, "x", "", ""), "a group that is torn apart would have its name twice"


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
