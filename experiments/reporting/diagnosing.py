"""Writes and prints the page of a diagnosis."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from fmtbench.analysis.page.diagnosis import write_diagnosis
from fmtbench.analysis.rows.cut import cut_notes
from fmtbench.analysis.showing.diagnosis import Said, blocks, markdown
from fmtbench.analysis.statistics.arms import arms_table
from fmtbench.analysis.statistics.cheapest import priced_arms
from fmtbench.analysis.statistics.diagnosis import Diagnosis
from fmtbench.answers import Record
from fmtbench.decoding.records import ignored
from fmtbench.running.job import Job
from fmtbench.store.files import writable, write_text

TITLE = "Is it my schema?"


def usable(job: Job) -> list[str]:
    """The conditions whose replies a program reads as a record."""
    names = dict.fromkeys(cell.condition for cell in job.cells)
    return [name for name in names if job.conditions[name].writes_a_format]


def write(output: Path, job: Job, found: Diagnosis, rows: pd.DataFrame, untried: Mapping[str, str]) -> None:
    """Write doctor.html and doctor.md, and print the latter. `untried`: parts that were not tried, and why."""
    (task,) = {cell.task for cell in job.cells}
    items = job.tasks[task].items()
    kind = job.tasks[task].kind(items[0])
    assert isinstance(kind, Record)
    said = Said(
        model=job.cells[0].backbone,
        task=task,
        available=len(items),
        untried=untried,
        ignored=ignored(kind.schema),
        notes=cut_notes(rows),
        priced=priced_arms(rows, usable(job), found.margin),
    )
    arms = arms_table(rows, list(dict.fromkeys(cell.condition for cell in job.cells)))
    page = list(blocks(found, arms, said))
    text = markdown(TITLE, page)
    write_diagnosis(writable(output) / "doctor.html", TITLE, page)
    write_text(output / "doctor.md", text)
    print(f"{text}\nIn {output}: doctor.html, doctor.md")
