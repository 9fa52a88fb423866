"""Read and score stored generations again, without a model: after a change of a reader or an answer kind.

python -m experiments.score results/quickstart
"""

from __future__ import annotations

from pathlib import Path

from omegaconf import OmegaConf

from experiments.reporting.accuracy import report
from experiments.run import make_cell
from experiments.starting.build import build_group
from experiments.starting.start import start_plain
from fmtbench.errors import UserError
from fmtbench.running.scoring import score
from fmtbench.store.folder import RunFolder, find_folders


def main(words: list[str]) -> None:
    if len(words) != 1:
        raise UserError(f"got {len(words)} arguments: give one folder, as in python -m experiments.score results/quickstart")
    root = Path(words[0])
    for folder in find_folders(root):
        score_folder(folder)
    report(root)


def score_folder(folder: RunFolder) -> None:
    """Rebuild the rows of one cell from its config, its requests and its journal."""
    text = (folder.path / "config.yaml").read_text(encoding="utf-8")
    config = OmegaConf.create(text)
    tasks, conditions = build_group(config.task), build_group(config.condition)
    (task,), (condition,), (prompt,) = tasks, conditions, config.prompt
    cell = make_cell(config, task, condition, prompt, text)
    with folder:
        rows = score(folder, cell, tasks[task], conditions[condition])
    print(f"{folder.path}: {sum(row.correct for row in rows)} of {len(rows)} right")


if __name__ == "__main__":
    start_plain(main, __doc__)
