"""Write results in the format of another tool.

    python -m experiments.export results=results/quickstart format=lm_eval output=DIR
    python -m experiments.export results=results/paper_small format=packed output=paper/data

format=lm_eval     samples_*.jsonl and results_*.json of lm-evaluation-harness
format=inspect     logs for `inspect view --log-dir DIR`
format=datasets    a folder for datasets.load_dataset, with a card
format=packed      small enough to commit; experiments.tables reads it

None of these tools needs to be installed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fmtbench.errors import UserError
from fmtbench.store.files import writable

from .starting.build import build
from .starting.conf import option_file, options
from .starting.folders import results_folders
from .starting.start import start


def main(config: DictConfig) -> None:
    write, output = writer(config.format), Path(config.output)
    from fmtbench.interchange.cells import read_cells

    cells, complaints = read_cells(results_folders(config.results))
    for complaint in complaints:
        print(f"left out: {complaint}", file=sys.stderr)
    written = write(cells, writable(output))
    size = sum(path.stat().st_size for path in written)
    replies = sum(len(cell.rows) for cell in cells)
    print(f"{output}: {len(written)} files, {size / 1e6:.1f} MB, {replies:,} replies of {len(cells)} cells")


def writer(name: str) -> Any:
    """The function of `conf/export/<name>.yaml`. Raises `UserError` for an unknown name."""
    path = option_file("export", name)
    if path is None:
        raise UserError(f"format={name}: give one of {', '.join(options('export'))}")
    config: Any = OmegaConf.load(path)
    return build(config, f"export/{name}")


if __name__ == "__main__":
    start("export", main)
