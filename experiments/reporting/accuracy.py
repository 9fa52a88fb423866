"""The accuracy table of a results folder: in the terminal, and as Markdown and CSV beside the results."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from fmtbench.analysis.rows.broken import broken_notes
from fmtbench.analysis.rows.cut import cut_notes
from fmtbench.analysis.rows.frame import load_rows
from fmtbench.analysis.rows.manifest import read_manifest
from fmtbench.analysis.showing.markdown import to_markdown
from fmtbench.analysis.showing.readable import readable
from fmtbench.analysis.tables.main import accuracy_table
from fmtbench.store.csv_text import csv_text
from fmtbench.store.files import write_text
from fmtbench.store.folder import why_barred

FAILURES_WIDTH = 20
LEGEND = """\
Accuracy in % of all items, with 95% intervals (Wilson; differences: paired bootstrap over items).
strict: the contract was kept and the answer is right. latent: a lenient reader, the same for every condition, finds it.
Δ: difference to free_cot, in points, on the items that both were asked.\
"""


def report(folder: Path) -> None:
    rows = load_rows(folder, mixed=True)
    table = accuracy_table(rows)
    shown, notes = readable(table), [*barred_cells(folder), *broken_notes(rows)]
    write_text(folder / "accuracy.csv", csv_text(table, "%.6f"))
    above = cut_notes(rows)
    write_text(folder / "accuracy.md", "\n".join([*(f"{line}\n" for line in above), to_markdown(shown), *notes, LEGEND, ""]))
    console = Console(width=None if Console().is_terminal else 150)
    for line in above:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    console.print(_terminal_table(_fitting(shown, console.width)))
    for line in notes:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    console.print(LEGEND, style="dim", highlight=False)
    console.print(
        f"Results: {folder} (one folder a cell), {folder / 'accuracy.md'}, {folder / 'accuracy.csv'}",
        soft_wrap=True,
        highlight=False,
    )


def barred_cells(folder: Path) -> list[str]:
    """One line for each cell that did not run because it is barred."""
    manifests = {path.parent: read_manifest(path) for path in sorted(folder.rglob("manifest.json"))}
    return [
        f"{cell.relative_to(folder)} is barred: {why_barred(manifest)}"
        for cell, manifest in manifests.items()
        if manifest.get("status") in ("barred", "refused")
    ]


def _fitting(shown: pd.DataFrame, width: int) -> pd.DataFrame:
    """Drop the less telling columns if the terminal is narrow; the files have them all."""
    for name in ("Δ latent", "tokens", "n", "failures"):
        widths = {column: max(map(len, [column, *shown[column]])) for column in shown.columns} | {"failures": FAILURES_WIDTH}
        if sum(widths[column] + 2 for column in shown.columns) > width:
            shown = shown.drop(columns=name)
    return shown


def _terminal_table(shown: pd.DataFrame) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for name in shown.columns:
        left = name in ("backbone", "task", "condition", "failures")
        table.add_column(name, justify="left" if left else "right", no_wrap=name != "failures")
    previous = None
    for line in shown.itertuples(index=False):
        if previous not in (None, line.task):
            table.add_section()
        table.add_row(*map(str, line))
        previous = line.task
    return table
