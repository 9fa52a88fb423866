"""Whether a study may stop before it is complete: the answer to `experiments.plan look=2/4`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from fmtbench.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from fmtbench.analysis.statistics.pairs import Pair


def look_lines(rows: pd.DataFrame, pairs: Mapping[str, Sequence[Pair]], items: Mapping[str, int], look: str) -> list[str]:
    """The boundary of this look for each task, and whether a planned contrast has crossed it.

    `rows`: one backbone's rows so far; `items`: the number of items planned for each task in total. The level is shared by the
    planned contrasts of a task (Bonferroni), so it holds for all of them and all looks together.
    """
    from fmtbench.analysis.statistics.exact import LEVEL

    said = [
        f"Look {look}, two-sided {LEVEL:.0%} over all looks, shared by the contrasts of a task (Lan and DeMets, close to",
        "O'Brien and Fleming). A study that stops early overstates its difference: say that it stopped, and at which look.",
    ]
    return said + [line for task, some in pairs.items() for line in _task(rows, task, some, items[task], look)]


def _task(rows: pd.DataFrame, task: str, pairs: Sequence[Pair], planned: int, look: str) -> Iterator[str]:
    from fmtbench.analysis.statistics.exact import LEVEL
    from fmtbench.analysis.statistics.sequential import boundaries, shares, which_look

    number, of = which_look(look)
    seen = {pair: _seen(rows, task, pair) for pair in pairs}
    fewest = min(n for n, _, _ in seen.values())
    *_, now = boundaries(shares(number, of, fewest / planned), LEVEL / len(pairs))
    last = " This is the last look." if number == of else ""
    yield (
        f"  {task}: {fewest} of {planned} items, so {now.spent * len(pairs):.5f} of {LEVEL} spent so far; "
        f"boundary |z| >= {now.z:.3f}, p <= {now.p:.2g}.{last}"
    )
    for pair, (n, z, p) in seen.items():
        crossed = "crossed: it may stop here" if p <= now.p else "not crossed: go on" if number < of else "not crossed"
        yield (f"    {pair.condition} - {pair.reference}, {n} items: z = {z:+.2f}, p = {p:.2g}: {crossed}")


def _seen(rows: pd.DataFrame, task: str, pair: Pair) -> tuple[int, float, float]:
    """The number of shared items, the score z of the strict difference, and its mid-p as in the table of contrasts."""
    import numpy as np

    from fmtbench.analysis.statistics.cube import cells, cube
    from fmtbench.analysis.statistics.exact import sign_test
    from fmtbench.analysis.statistics.pairs import difference_KU

    own = rows[rows["task"] == task]
    there = sorted(map(str, own["condition"].unique()))
    if lacking := [name for name in pair if name not in there]:
        raise UserError(f"look: no row of {task} under {' and '.join(lacking)}: it has {', '.join(there) or 'no condition'}")
    one = cells(cube(own, str(own["backbone"].iloc[0]), task))
    difference_U = difference_KU(one, [pair])[0]
    shared = np.isfinite(difference_U)
    if not shared.any():
        raise UserError(f"look: {pair.condition} and {pair.reference} share no item of {task} so far: run both on the same items")
    total_I = np.bincount(one.item_U[shared], weights=difference_U[shared]).astype(np.float64)
    spread = float(np.sqrt((total_I**2).sum()))
    z = float(total_I.sum()) / spread if spread else 0.0
    return len(np.unique(one.item_U[shared])), z, sign_test(total_I).p_mid
