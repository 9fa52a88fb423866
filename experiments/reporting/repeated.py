"""What a run and a plan say about the published study that they repeat: what differs, and its numbers beside ours."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from omegaconf import DictConfig

from fmtbench.errors import UserError

COLUMNS = (
    "task",
    "condition",
    "study",
    "model",
    "published",
    "published_difference",
    "backbone",
    "ours",
    "ours_difference",
    "ours_n",
)
FREE = ("free_cot", "free_cot_3_shot")
"""The conditions that differences are measured against; their own difference would be 0."""
HEADINGS = ("task", "condition", "study", "model", "published", "Δ published", "backbone", "ours", "Δ ours", "n")


def study_lines(config: DictConfig) -> list[str]:
    """The study, and one line for each thing that differs; nothing if no study is repeated."""
    if config.repeats.paper is None:
        return []
    return [f"Repeats {config.repeats.paper}. What differs:", *(f"  - {line}" for line in config.repeats.differs)]


def beside_lines(config: DictConfig) -> list[str]:
    """A table of the published accuracies whose task and condition are in this run; nothing if no study is repeated."""
    if config.repeats.paper is None:
        return []
    folder = Path(config.results) / config.name
    more = f"python -m experiments.tables results={folder} table=[replication]"
    if not config.repeats.published:
        return [f"No accuracy of {config.repeats.paper} is known that a task and condition of this run stand beside."]
    try:
        table = _beside(folder, list(config.repeats.published))
    except UserError as error:
        return [f"Beside {config.repeats.paper}: {error}"]
    from fmtbench.analysis.showing.markdown import to_markdown

    head = f"Beside {config.repeats.paper}, in %, ours strict, Δ to free answers of the same study; all columns: {more}"
    return [head, to_markdown(table)]


def _beside(folder: Path, studies: list[str]) -> pd.DataFrame:
    from fmtbench.analysis.rows.frame import load_rows
    from fmtbench.analysis.tables.replication import replication_table

    found = replication_table(load_rows(folder, mixed=True), studies=studies)
    shown = found[list(COLUMNS)].astype(object)
    for name in ("published", "ours"):
        shown[name] = [f"{100 * value:.1f}" for value in found[name]]
        difference = found[f"{name}_difference"].mask(found["condition"].isin(FREE))
        shown[f"{name}_difference"] = ["" if value != value else f"{100 * value:+.1f}" for value in difference]
    return shown.set_axis(list(HEADINGS), axis=1)
