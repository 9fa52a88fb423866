"""Read and score stored generations again, without a model: after a change of a reader or an answer kind.

    python -m experiments.score results=results/quickstart      every run folder of an experiment, and its accuracy table
    python -m experiments.score run=results/quickstart/smollm2_135m/addition/direct/plain-seed0      one run folder

Tasks, conditions and answer kinds are built from each folder's own config: those of fmtbench, or of a package in `plugins=`.
"""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from fmtbench.errors import UserError
from fmtbench.running.scoring import score
from fmtbench.store.folder import RunFolder, find_folders

from .run import make_cell
from .starting.build import SCORED, build_group
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
    text = (folder.path / "config.yaml").read_text(encoding="utf-8")
    config = OmegaConf.create(text)
    tasks, conditions = (build_group(config[group], packages=SCORED) for group in ("task", "condition"))
    (task,), (condition,), (prompt,) = tasks, conditions, config.prompt
    cell = make_cell(config, task, condition, prompt, text)
    with folder:
        rows = score(folder, cell, tasks[task], conditions[condition])
    print(f"{folder.path}: {sum(row.correct for row in rows)} of {len(rows)} right")


if __name__ == "__main__":
    start("score", main)
