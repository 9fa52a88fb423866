"""Names for readers: how the id of a backbone, task, condition, format, status or column is written where people read it.

    named("json_schema_direct", "condition", labels)      "JSON schema, no rationale"

`labels` is the content of `conf/names`: kind, then id, then name. Files for programs (.csv) keep the ids.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import pandas as pd

from fmtbench.analysis.statistics.cube import RERUN

Labels = Mapping[str, Mapping[str, str]]

KINDS = {"backbone": "backbone", "task": "task", "condition": "condition", "reference": "condition", "format": "format"}
"""Columns whose values are ids, and the kind of each."""
OF_COLUMNS = ("column", "status")
CELL = ("backbone", "task")


def named(name: str, kind: str, labels: Labels) -> str:
    """The name for readers; an id without one is shown with spaces for its underscores."""
    if name.endswith(RERUN):
        return f"{named(name.removesuffix(RERUN), kind, labels)}, run again"
    return labels.get(kind, {}).get(name) or name.replace("_", " ")


def names_of(ids: Iterable[str], kind: str, labels: Labels) -> dict[str, str]:
    """The names of several ids that are shown together. Where two would get the same name, both keep their ids."""
    found = {one: named(one, kind, labels) for one in ids}
    often = Counter(found.values())
    return {one: name if often[name] == 1 else one for one, name in found.items()}


def labelled(table: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """The table with names for ids, in its cells, in the columns named after a cell (`backbone, task`) and in the lines below it.

    `attrs["cells"]`: pairs of backbone and task that occur in column names or in lines below, but in no cell of the table.
    """
    names = {kind: names_of(_ids(table, kind), kind, labels) for kind in set(KINDS.values())}
    values = {name: table[name].astype(object).map(names[kind]) for name, kind in KINDS.items() if name in table.columns}
    if "contrast" in table.columns:
        values["contrast"] = values["condition"] + " − " + values["reference"]
    shown = table.assign(**values).rename(columns=lambda name: _in_words(str(name), names))
    shown.attrs = table.attrs | {"below": [_in_words(line, names) for line in table.attrs.get("below", [])]}
    return shown


def _ids(table: pd.DataFrame, kind: str) -> list[str]:
    columns = [name for name, what in KINDS.items() if what == kind and name in table.columns]
    ids = [one for name in columns for one in table[name].dropna().unique()]
    if kind in CELL:
        ids += [cell[CELL.index(kind)] for cell in table.attrs.get("cells", ())]
    return list(dict.fromkeys(ids))


def _in_words(line: str, names: Mapping[str, Mapping[str, str]]) -> str:
    """The line with names for each `backbone, task`; longest task first, since one id may be the start of another."""
    for backbone, its_name in names["backbone"].items():
        for task in sorted(names["task"], key=len, reverse=True):
            line = line.replace(f"{backbone}, {task}", f"{its_name}, {names['task'][task]}")
    return line


def headed(text: pd.DataFrame, headings: Mapping[str, str], labels: Labels) -> pd.DataFrame:
    """The table with readable column names: its own `headings` first, then those of `labels`."""

    def heading(name: str) -> str:
        kind = next((kind for kind in OF_COLUMNS if name in labels.get(kind, {})), "column")
        return headings.get(name) or named(name, kind, labels)

    return text.rename(columns={name: heading(str(name)) for name in text.columns})
