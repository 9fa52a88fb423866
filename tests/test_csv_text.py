"""CSV: a spreadsheet runs nothing that is in it, whoever named the model, the condition or the field."""

from __future__ import annotations

import ast
import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fmtbench.store.csv_text import csv_text
from tests.conftest import ROOT

HOSTILE = ("=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "\t=1", "\r=1", '=HYPERLINK("http://x")', "=")


def cells(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("cell", HOSTILE)
def test_a_formula_is_text(cell: str) -> None:
    table, said = pd.DataFrame({"name": [cell, "plain"], "n": [1, 2]}), "'" + cell.replace("\r", "\n")
    assert cells(csv_text(table)) == [["name", "n"], [said, "1"], ["plain", "2"]]
    assert cells(csv_text(pd.DataFrame({cell: [1]})))[0] == [said]
    assert cells(csv_text(pd.DataFrame({"name": pd.Categorical([cell])})))[1] == [said]
    assert list(table.name) == [cell, "plain"], "the table itself stays as it was"


def test_a_carriage_return_begins_no_line() -> None:
    """pandas does not quote it, and whoever reads the file then takes what follows for another line."""
    assert cells(csv_text(pd.DataFrame({"name": ["a\r=1", "b\r\n=2"]}))) == [["name"], ["a\n=1"], ["b\n=2"]]


def test_what_is_no_formula_is_as_pandas_writes_it() -> None:
    table = pd.DataFrame(
        {"a": [-1.5, np.nan], "b": [True, False], "c": ["x, y", None], "d": [-3, 4], "e": pd.array([1, None], "Int64")}
    )
    assert csv_text(table) == table.to_csv(index=False)
    assert csv_text(table, "%.3f") == table.to_csv(index=False, float_format="%.3f")


def to_csv_calls(path: Path) -> list[int]:
    """Lines on which a table writes itself as CSV."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return [
        node.lineno
        for node in nodes
        if isinstance(node, ast.Attribute) and node.attr in ("to_csv", "DictWriter", "writer", "to_excel")
    ]


def test_nothing_writes_csv_in_another_way() -> None:
    places = [path for folder in ("fmtbench", "experiments") for path in (ROOT / folder).rglob("*.py")]
    found = {str(path.relative_to(ROOT)) for path in places if to_csv_calls(path)}
    assert found == {"fmtbench/store/csv_text.py"}
