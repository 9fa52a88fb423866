"""The columns of rows.parquet, from the fields of `Row` and their docstrings."""

from __future__ import annotations

import ast
from pathlib import Path

from .markdown import table

TYPES = Path(__file__).resolve().parent.parent.parent / "fmtbench" / "types.py"


def columns() -> str:
    tree = ast.parse(TYPES.read_text(encoding="utf-8"))
    (row,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Row")
    return table(("column", "type", "meaning"), list(_fields(row)))


def _fields(row: ast.ClassDef) -> list[tuple[str, str, str]]:
    """Name, type and docstring of each field; a field's docstring is the string literal after it."""
    fields = []
    for node, after in zip(row.body, [*row.body[1:], ast.Pass()]):
        if isinstance(node, ast.AnnAssign):
            said = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
            fields.append((f"`{ast.unparse(node.target)}`", f"`{ast.unparse(node.annotation)}`", " ".join(str(said).split())))
    return fields
