"""The orders in which the axes of a design can be switched from one condition to another, through cells that exist.

A chain is such an order. If every cell exists there are as many chains as permutations of the axes, and the mean over them of
an axis's steps is its Shapley value (1953, Contributions to the Theory of Games II). Where a cell is missing, a chain takes two
or more axes in one step, which says nothing about either alone. A chain counts only if no existing cell would refine it.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations, pairwise
from typing import NamedTuple

from fmtbench.analysis.rows.levels import AXES, Levels, between

Moved = frozenset[int]
Chain = tuple[Moved, ...]


class Paths(NamedTuple):
    """How the reference turns into the condition, one or more axes at a time."""

    chains: list[Chain]
    missing: list[Levels]
    """Cells of the full factorial that do not exist."""
    squares: list[tuple[int, int]]
    """Pairs of axes for which the reference, each one alone, and both together exist."""

    @property
    def separated(self) -> list[int]:
        """Axes that some chain switches alone."""
        return sorted({axis for chain in self.chains for axis in single_steps(chain)})

    @property
    def unseparated(self) -> list[int]:
        """Axes that some chain switches together with another; their joint effect is the residual."""
        steps = (after - before for chain in self.chains for before, after in pairwise(chain))
        return sorted({axis for step in steps if len(step) > 1 for axis in step})

    def steps(self, axis: int) -> list[tuple[Moved, Moved]]:
        """The subsets before and after the axis is switched, in each chain that switches it alone."""
        found = ((chain, single_steps(chain).get(axis)) for chain in self.chains)
        return [(chain[at], chain[at + 1]) for chain, at in found if at is not None]


def find_paths(reference: Levels, condition: Levels, cells: Mapping[Levels, str]) -> Paths:
    """`cells`: the conditions that exist, keyed by their levels."""
    moved = [i for i in range(len(AXES)) if reference[i] != condition[i]]
    subsets = [frozenset(some) for size in range(len(moved) + 1) for some in combinations(moved, size)]
    existing = [subset for subset in subsets if between(reference, condition, subset) in cells]
    missing = [between(reference, condition, subset) for subset in subsets if subset not in existing]
    squares = [(i, j) for i, j in combinations(moved, 2) if {frozenset({i}), frozenset({j}), frozenset({i, j})} <= set(existing)]
    return Paths(_chains(existing, frozenset(moved)), missing, squares)


def _chains(existing: list[Moved], end: Moved) -> list[Chain]:
    """Every chain from none to all that no existing subset refines; `existing` is sorted by size."""
    chains: dict[Moved, list[Chain]] = {frozenset(): [(frozenset(),)]}
    for subset in existing[1:]:
        smaller = [one for one in existing if one < subset]
        covered = [one for one in smaller if not any(one < other for other in smaller)]
        chains[subset] = [(*chain, subset) for one in covered for chain in chains[one]]
    return chains[end]


def single_steps(chain: Chain) -> dict[int, int]:
    """For each axis that is switched alone, the position of its step."""
    steps = {}
    for position, (before, after) in enumerate(pairwise(chain)):
        if len(after - before) == 1:
            (axis,) = after - before
            steps[axis] = position
    return steps
