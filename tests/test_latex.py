"""The .tex files: their structure always, and that a LaTeX makes pages of them where one is installed."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.study import condition_presets
from experiments.tables import main
from tests.conftest import options
from tests.made_rows import coins, made_rows

DOCUMENT = r"""\documentclass{article}
\usepackage{booktabs}
\begin{document}
%s
\end{document}
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every table, from rows that have the cells for all of them and names that LaTeX would trip over."""
    root = tmp_path_factory.mktemp("latex")
    names = ["free_cot", "direct", "restricted_cot_25", "json_prompt", "json_schema", "json_schema_answer_first", "odd_50%_&_#1"]
    assert {*names[:-1]} <= set(condition_presets())
    gold = {name: np.resize(["yes", "no"], 60) for name in names}
    rows: Any = made_rows({name: coins(i, 60, p=0.7) for i, name in enumerate(names)}, task="last_letter", gold=gold)
    rows.to_parquet(root / "rows.parquet")
    main([str(root), "draws=200", "figure=[]"])
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


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
def test_a_document_with_every_table_compiles(written: Path, tmp_path: Path) -> None:
    tables = "\n\\clearpage\n".join((written / f"{name}.tex").read_text() for name in options("table"))
    (tmp_path / "all.tex").write_text(DOCUMENT % tables, encoding="latin-1" if tables.isascii() else "utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "all.pdf").read_bytes().startswith(b"%PDF")
