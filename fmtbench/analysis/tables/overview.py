"""The whole study at a glance: conditions down, backbones and tasks across, `strict / latent` in each cell.

| condition | qwen, gsm8k | smollm2, gsm8k |
| free_cot  | 6.8 / 15.8  | 1.2 / 1.2      |
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fmtbench.analysis.statistics.accuracy import condition_accuracy
from fmtbench.analysis.statistics.cube import RERUN, Cube, cubes
from fmtbench.conditions.axes import REFERENCE


def overview_table(rows: pd.DataFrame, reference: str = REFERENCE) -> pd.DataFrame:
    """A table of text. The reference comes first, then conditions by falling latent accuracy over all cells; a task where nothing
    was right under any condition is left out and named in `attrs["below"]`. `attrs["cells"]`: every backbone and task."""
    known = {(one.backbone, one.task): _cells(one) for one in cubes(rows)}
    floors = [name for name, lines in known.items() if not any(latent for _, latent in lines.values())]
    shown = {name: lines for name, lines in known.items() if name not in floors} or known
    latent = pd.DataFrame({name: {condition: line[1] for condition, line in lines.items()} for name, lines in shown.items()})
    order = sorted(latent.index, key=lambda name: (name != reference, -latent.loc[name].mean(), name))
    table = pd.DataFrame({"condition": order})
    for (backbone, task), lines in shown.items():
        table[f"{backbone}, {task}"] = [_text(lines.get(name)) for name in order]
    table.attrs["cells"] = list(known)
    if floors and floors != list(known):
        names = "; ".join(f"{backbone}, {task}" for backbone, task in floors)
        table.attrs["below"] = [f"Left out, since no reply is right under any condition: {names}."]
    return table


def _cells(one: Cube) -> dict[str, tuple[float, float]]:
    names = [name for name in one.conditions if not name.endswith(RERUN) and np.isfinite(one.strict_CU[one.at(name)]).any()]
    readings = ("strict", "latent")
    return {
        name: (condition_accuracy(one, name, readings[0]).value, condition_accuracy(one, name, readings[1]).value)
        for name in names
    }


def _text(line: tuple[float, float] | None) -> str:
    return "" if line is None else f"{100 * line[0]:.1f} / {100 * line[1]:.1f}"
