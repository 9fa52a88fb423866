"""Read and score stored generations again, without a model: after a change of a reader or an answer kind.

    python -m experiments.score results=results/quickstart      every run folder of an experiment, and its accuracy table
    python -m experiments.score run=results/quickstart/smollm2_135m/addition/direct/plain-seed0      one run folder

Tasks, conditions and answer kinds are built from each folder's own config: those of fmtbench, or of a package in `plugins=`.
"""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from fmtbench.conditions.condition import Condition
from fmtbench.errors import UserError
from fmtbench.running.job import Cell
from fmtbench.running.scoring import score
from fmtbench.store.folder import RunFolder, find_folders
from fmtbench.store.stored import read_config
from fmtbench.tasks.base import Task

from .starting.build import build_stored
from .starting.start import start


def main(config: DictConfig) -> None:
    if (config.results is None) == (config.run is None):
        raise UserError(
            "give results=FOLDER, such as results=results/quickstart, for all run folders beneath it, or run=FOLDER for one"
        )
    root = Path(config.results or config.run)
    found = find_folders(root)
    if config.run and [folder.path for folder in found] != [root]:
        raise UserError(f"run={root} is no run folder: give results={root} to score the {len(found)} beneath it")
    for folder in found:
        score_folder(folder)
    if config.results:
        from .reporting.accuracy import report  # here, so that a mistake waits for no import of scipy

        report(root)


def score_folder(folder: RunFolder) -> None:
    """Rebuild the rows of one cell from its config, its requests and its journal."""
    cell, task, condition = stored_cell(folder.path)
    with folder:
        rows = score(folder, cell, task, condition)
    print(f"{folder.path}: {sum(row.correct for row in rows)} of {len(rows)} right")


def stored_cell(path: Path) -> tuple[Cell, Task, Condition]:
    """The cell of a run folder, and what reads and judges its replies. Raises `UserError` for a config that says neither."""
    config = read_config(path / "config.yaml")
    try:
        task, judge = build_stored(config, "task", Task)  # type: ignore[type-abstract]
        condition, reader = build_stored(config, "condition", Condition)
        (prompt,) = config["prompt"]
        names = {"experiment": config["name"], "backbone": config["backbone"]["name"], "seed": int(config["seed"])}
    except (UserError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path / 'config.yaml'}: {error if isinstance(error, UserError) else 'it is not whole'}") from error
    return Cell(**names, task=task, condition=condition, prompt=str(prompt)), judge, reader


if __name__ == "__main__":
    start("score", main)
