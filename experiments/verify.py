"""Check that replies are what the model would say, according to transformers in float32: tables by cell.

    python -m experiments.verify results=results/quickstart backbone=smollm2_135m
    python -m experiments.verify results=results/x backbone=local backbone.path=FOLDER backbone.name=NAME replies=50

Give the backbone that the run used. Only replies without a mask can be compared: greedy ones, and those drawn from the whole
distribution (top_p 1). The exit code is 1 if a cell is more than `z` or `gap` away.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig

from fmtbench.errors import DifferenceError, UserError
from fmtbench.store.folder import RunFolder, find_folders

from .starting.build import build
from .starting.start import start

FORMS = {"logprob": "{:.3f}", "expected": "{:.3f}", "z": "{:+.2f}", "likeliest": "{:.1%}", "gap": "{:.2f}"}
DRAWN = """\
Drawn replies, nats a token under transformers in float32. z: how far they are from draws of this model, in standard deviations.
"""
GREEDY = """\
Greedy replies. likeliest: tokens that transformers in float32 finds the most likely too; gap: how far below the most likely one
the unlikeliest of them lies, in nats. Rounding turns ties over, and no more.
"""


def main(config: DictConfig) -> None:
    root = Path(config.results) / config.backbone.name
    if config.replies < 1:
        raise UserError(f"replies={config.replies}: give a number above 0")
    from fmtbench.probes.fidelity import drawn, greedy
    from fmtbench.probes.replay import Reference, check_weights

    by_draw, by_rank = cells(root, drawn, config.replies), cells(root, greedy, config.replies)
    if not by_draw and not by_rank:
        raise UserError(
            f"no reply in {root} is without a mask and either greedy or drawn from the whole distribution (top_p 1): "
            "there is nothing to compare"
        )
    backbone = build(config.backbone, "backbone")
    for name in {**by_draw, **by_rank}:
        check_weights(RunFolder(root / name), backbone)
    reference = Reference(backbone)
    wrong = show_drawn(reference, by_draw, config.z) + show_greedy(reference, by_rank, config.gap)
    if wrong:
        raise DifferenceError(f"not what this model says: {', '.join(wrong)}")


def cells(root: Path, which: Any, most: int) -> dict[str, Any]:
    """The replies to compare, for each cell that has any."""
    from fmtbench.probes.fidelity import replies

    found = {str(one.path.relative_to(root)): replies(one, which, most) for one in find_folders(root)}
    return {name: some for name, some in found.items() if some}


def show_drawn(reference: Any, by_cell: dict[str, Any], most: float) -> list[str]:
    """Print the table of drawn replies; returns the cells that are too far away."""
    from fmtbench.probes.fidelity import fidelity, pooled

    found = {name: fidelity(reference, group) for name, group in by_cell.items()}
    if found:
        found["all"] = pooled(list(found.values()))
    show([{"cell": name} | asdict(one) | {"z": one.z} for name, one in found.items()], DRAWN)
    # Not the same as `> most`: NaN has to fail.
    return [f"{name} (z {one.z:+.2f}, allowed {most:g})" for name, one in found.items() if not abs(one.z) <= most]


def show_greedy(reference: Any, by_cell: dict[str, Any], most: float) -> list[str]:
    """Print the table of greedy replies; returns the cells that are too far away."""
    from fmtbench.probes.fidelity import agreement

    found = {name: agreement(reference, group) for name, group in by_cell.items()}
    show([{"cell": name} | asdict(one) for name, one in found.items()], GREEDY)
    return [f"{name} (gap {one.gap:.2f}, allowed {most:g})" for name, one in found.items() if not one.gap <= most]


def show(lines: list[dict[str, Any]], caption: str) -> None:
    from fmtbench.analysis.showing.markdown import to_markdown

    if lines:
        table = pd.DataFrame(lines).drop(columns="deviation", errors="ignore")
        shown = {name: table[name].map(form.format) for name, form in FORMS.items() if name in table}
        print(to_markdown(table.assign(**shown)) + caption)


if __name__ == "__main__":
    start("verify", main)
