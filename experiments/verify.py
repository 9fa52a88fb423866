"""Are sampled replies what the model would say? A table by cell, by transformers in float32.

    python -m experiments.verify results=results/paper_small backbone=smollm2_135m
    python -m experiments.verify results=results/x backbone=local backbone.path=FOLDER backbone.name=NAME replies=50

Give the backbone as the run had it. Only replies drawn freely from the whole distribution can be held against it (no mask,
temperature above 0, top_p 1); fmtbench/fidelity.py says how. Exit code 1 where a cell is more than `z` away.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig

from experiments.build import build
from experiments.cli import start
from fmtbench.errors import DifferenceError, UserError
from fmtbench.store import find_folders

SHOWN = {"logprob": "{:.3f}", "expected": "{:.3f}", "z": "{:+.2f}"}


def main(config: DictConfig) -> None:
    from fmtbench.analysis.tables import to_markdown
    from fmtbench.fidelity import fidelity, pooled, sampled

    if config.results is None:
        raise UserError("results= is missing: give the results folder of an experiment, such as results=results/drift")
    if config.replies < 1:
        raise UserError(f"replies={config.replies}: give a number above 0")
    root = Path(config.results) / config.backbone.name
    cells = {str(one.path.relative_to(root)): sampled(one, config.replies) for one in find_folders(root)}
    cells = {name: replies for name, replies in cells.items() if replies}
    if not cells:
        raise UserError(
            f"no reply in {root} was drawn freely (no mask, temperature above 0, top_p 1): there is nothing to hold against"
        )
    found = list(fidelity(build(config.backbone, "backbone"), cells.values()))
    lines = [*zip(cells, found), ("all", pooled(found))]
    table = pd.DataFrame([{"cell": name} | asdict(one) | {"z": one.z} for name, one in lines]).drop(columns="deviation")
    print(to_markdown(table.assign(**{name: table[name].map(form.format) for name, form in SHOWN.items()})))
    print(
        "Nats a token under transformers in float32; z: how far the replies are from draws of this model, in standard deviations."
    )
    # Not the same as `> config.z`: what is not a number has to fail.
    if wrong := [one.cell for one in table.itertuples() if not abs(one.z) <= config.z]:
        raise DifferenceError(f"more than {config.z:g} standard deviations away: {', '.join(wrong)}")


if __name__ == "__main__":
    start("verify", main)
