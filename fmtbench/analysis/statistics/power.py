"""What a study of a given size can detect, before it runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fmtbench.analysis.statistics.cube import cells, cubes, sums
from fmtbench.analysis.statistics.exact import detectable
from fmtbench.analysis.statistics.pairs import Pair, difference_KU

ASSUMED = (0.1, 0.2, 0.3)
"""Shares of items on which two conditions disagree, as large studies of formats find them."""


def assumed_power(items: int) -> dict[float, float]:
    """The smallest detectable difference for each assumed share of disagreement."""
    return {share: detectable(share * items, items) for share in ASSUMED}


def observed_discordance(rows: pd.DataFrame, pairs: Sequence[Pair]) -> pd.DataFrame:
    """`task condition reference n discordance`: mean squared difference of items, from a pilot's rows, samples averaged.

    For items asked once this is the share that disagrees. A pair that the pilot lacks has no row.
    """
    lines = []
    for one in map(cells, cubes(rows)):
        for pair in pairs:
            if set(pair) <= set(one.conditions) and np.isfinite(values := difference_KU(one, [pair])).any():
                summed = sums(values, one)
                count = summed.count_IPK.sum((1, 2))
                means = summed.value_IPK.sum((1, 2))[count > 0] / count[count > 0]
                lines.append({"task": one.task, **pair._asdict(), "n": len(means), "discordance": float((means**2).mean())})
    return pd.DataFrame(lines, columns=["task", "condition", "reference", "n", "discordance"])
