"""Write results in the shape of another tool.

    python -m experiments.export results/quickstart format=lm_eval output=DIR      samples_*.jsonl and results_*.json of lm-eval
    python -m experiments.export results/quickstart format=inspect output=DIR      logs for `inspect view --log-dir DIR`
    python -m experiments.export results/quickstart format=datasets output=DIR     a folder for datasets.load_dataset, with a card
    python -m experiments.export results/paper_small format=packed output=paper/data   small enough to commit; tables read it

`ls conf/export` is the list of formats. None of these tools has to be installed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from experiments.starting.build import build
from experiments.starting.start import CONF, start_plain
from fmtbench.errors import UserError
from fmtbench.store.files import writable

OPTIONS = ("format", "output")


def main(words: list[str]) -> None:
    roots, write, output = parse(words)
    from fmtbench.interchange.cells import read_cells

    cells, complaints = read_cells(roots)
    for complaint in complaints:
        print(f"left out: {complaint}", file=sys.stderr)
    written = write(cells, writable(output))
    size = sum(path.stat().st_size for path in written)
    replies = sum(len(cell.rows) for cell in cells)
    print(f"{output}: {len(written)} files, {size / 1e6:.1f} MB, {replies:,} replies of {len(cells)} cells")


def parse(words: list[str]) -> tuple[list[Path], Any, Path]:
    """The folders, the function that writes, and where to. Raises `UserError` for what is absent or unknown."""
    options = dict(word.split("=", 1) for word in words if "=" in word and not Path(word).exists())
    roots = [Path(word) for word in words if "=" not in word or Path(word).exists()]
    formats = sorted(path.stem for path in (CONF / "export").glob("*.yaml"))
    if unknown := sorted(set(options) - set(OPTIONS)):
        raise UserError(f"{unknown[0]}= is no option: allowed are {', '.join(f'{name}=' for name in OPTIONS)}")
    if not roots:
        raise UserError("no results folder is given: python -m experiments.export results/quickstart format=lm_eval output=DIR")
    if options.get("format") not in formats:
        raise UserError(f"format={options.get('format', '')}: give one of {', '.join(formats)}")
    if not options.get("output"):
        raise UserError("output= is not given: name a folder for the files")
    config: Any = OmegaConf.load(CONF / "export" / f"{options['format']}.yaml")
    return roots, build(config, f"export/{options['format']}"), Path(options["output"])


if __name__ == "__main__":
    start_plain(main, __doc__)
