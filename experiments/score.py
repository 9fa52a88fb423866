"""Read and score stored generations again, without a model, after a change to a reader or an answer kind.

    python -m experiments.score results=results/quickstart      every run folder of an experiment, and its accuracy table
    python -m experiments.score run=results/quickstart/smollm2_135m/addition/direct/plain-seed0      one run folder

A packed study (from `experiments.export`, such as paper/data) is read again in place: tokens and seconds stay as they are, and it
does not record which tokens wrote a rationale.

Tasks, conditions and answer kinds are built from each folder's own config; they come from fmtbench or a package in `plugins=`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from pandas import DataFrame

    from fmtbench.analysis.rows.packed import Packed


def main(config: DictConfig) -> None:
    if (config.results is None) == (config.run is None):
        raise UserError(
            "give results=FOLDER, such as results=results/quickstart, for all run folders beneath it, or run=FOLDER for one"
        )
    root = Path(config.results or config.run)
    packs = find_packs(root)
    for pack in packs:
        score_pack(pack)
    found = [] if packs else find_folders(root)
    if config.run and [folder.path for folder in found] != [root]:
        raise UserError(f"run={root} is no run folder: give results={root} to score the {len(found)} beneath it")
    for folder in found:
        score_folder(folder)
    if config.results and found:
        from .reporting.accuracy import report  # late, so that a mistake does not wait for scipy

        report(root)


def find_packs(root: Path) -> list[Path]:
    if next(root.rglob("cells.parquet"), None) is None:
        return []
    from fmtbench.interchange.packed import find  # late, so that a run folder does not wait for pandas

    return find(root)


def score_pack(folder: Path) -> None:
    """Read the replies of a packed study again, whatever version its rows have."""
    from fmtbench.interchange.packed import rewrite
    from fmtbench.running.read_again import read_again
    from fmtbench.running.rescored import RESCORED

    def again(cell: Packed) -> DataFrame:
        if RESCORED in cell.config:
            raise UserError(f"{folder} was made of transcripts: run experiments.rescore on these again, which reads them anew")
        _, task = build_stored(cell.config, "task", Task)  # type: ignore[type-abstract]
        _, condition = build_stored(cell.config, "condition", Condition)
        return read_again(cell.rows, task, condition)

    rows = rewrite(folder, again)
    print(f"{folder}: {int(rows['correct'].sum())} of {len(rows)} right, marked {int(rows['marked_correct'].sum())}, ", end="")
    print(f"latent {int(rows['latent_correct'].sum())}")


def score_folder(folder: RunFolder) -> None:
    """Rebuild the rows of one cell from its config, its requests and its journal."""
    cell, task, condition = stored_cell(folder.path)
    with folder:
        rows = score(folder, cell, task, condition)
    print(f"{folder.path}: {sum(row.correct for row in rows)} of {len(rows)} right")


def stored_cell(path: Path) -> tuple[Cell, Task, Condition]:
    """The cell of a run folder, its task and its condition. Raises `UserError` for a config that lacks any of them."""
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
