"""What a loss is made of: D = A(free) - A(c) = wording + asking + masking + order + length + truncation + reading.

With l a lenient verdict, s a strict one and t what truncation takes, a strict score is s = (l + t) - t - (l - s). The first
bracket is the score of complete, well-read replies; its loss is divided among the axes of the design by the mean over all
orders of switching them (Shapley 1953). The other two terms are truncation and reading. So the parts sum to D exactly.

Truncation is a bound: a reply that is cut off, wrong, and right on the other side counts as lost by the cut alone. Where
rows of a condition `<name>_rerun` exist (its truncated items at four times the budget), what the rerun wins replaces it.

Wording and asking are separated where a condition `asked: prose` names the fields of a format without the format. A format
that applies to the answer alone, or in a second pass, is a level of asking and masking of its own (see `rows.levels`).

Where a cell between reference and condition does not exist, orders that pass through it are left out. What no existing cell
can separate is `residual`; its `note` names the axes in it and the cells that would separate them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fmtbench.analysis.rows.levels import AXES, PROSE, Levels, between, describe, levels
from fmtbench.analysis.statistics.bootstrap import DRAWS, FEWER_DRAWS, SEED, bootstrap
from fmtbench.analysis.statistics.cube import RERUN, Array, Cube, cubes, sums
from fmtbench.conditions.axes import REFERENCE
from fmtbench.errors import UserError

COMPONENTS = (*AXES, "residual", "truncation", "reading", "total")

Moved = frozenset[int]
Chain = tuple[Moved, ...]


class Paths(NamedTuple):
    """How the reference turns into the condition, one or more axes at a time, through cells that exist."""

    chains: list[Chain]
    missing: list[Levels]

    @property
    def separated(self) -> list[int]:
        """Axes that some chain switches alone."""
        return sorted({axis for chain in self.chains for axis in single_steps(chain)})


def decomposition_table(
    rows: pd.DataFrame,
    axes: Mapping[str, Mapping[str, Any]],
    reference: str = REFERENCE,
    presets: Mapping[str, Mapping[str, Any]] | None = None,
    draws: int = DRAWS,
    seed: int = SEED,
) -> pd.DataFrame:
    """One line for each backbone, task, condition and component; shares, positive where accuracy is lost.

    `axes`: settings of the conditions, by name; `presets`: settings of conditions that could be run, which name missing cells.
    Raises `UserError` where no condition with known settings shares an item with the reference.
    """
    there = [name for name in map(str, rows["condition"].unique()) if name in axes]
    fields = any(axes[name].get("asked") == PROSE for name in there)
    known = {name: levels(axes[name], fields) for name in there}
    names = {levels(settings, fields): name for name, settings in reversed([*(presets or {}).items(), *axes.items()])}
    lines = [line for one in cubes(rows) for line in _decompose(one, known, names, reference, draws, seed)]
    if not lines:
        raise UserError(f"no condition with known axes shares an item with {reference}: keep config.yaml beside rows.parquet")
    return pd.DataFrame(lines)


def _decompose(
    one: Cube, known: Mapping[str, Levels], names: Mapping[Levels, str], reference: str, draws: int, seed: int
) -> Iterator[dict[str, Any]]:
    there = {name: known[name] for name in one.conditions if name in known and not name.endswith(RERUN)}
    for condition in there:
        if condition != reference and reference in there:
            yield from _one(one, there, names, reference, condition, draws, seed)


def _one(
    one: Cube, there: Mapping[str, Levels], names: Mapping[Levels, str], reference: str, condition: str, draws: int, seed: int
) -> Iterator[dict[str, Any]]:
    cells = _cells(one, there, reference, condition)
    if not _shared(one, [reference, condition]).any():
        return
    paths = find_paths(there[reference], there[condition], cells)
    parts_KU = component_values(one, paths, cells, reference, condition)
    value, low, high = _intervals(parts_KU, one, draws, seed)
    notes = _notes(paths, there[reference], there[condition], names, one, condition)
    shared = np.isfinite(parts_KU[-1])
    for k, component in enumerate(COMPONENTS):
        yield {
            "backbone": one.backbone,
            "task": one.task,
            "condition": condition,
            "reference": reference,
            "component": component,
            "value": value[k],
            "low": low[k],
            "high": high[k],
            "n": len(np.unique(one.item_U[shared])),
            "note": notes.get(component, ""),
        }


def _intervals(parts_KU: Array, one: Cube, draws: int, seed: int) -> tuple[Array, Array, Array]:
    """Value, low and high of each component; the total has as many draws as in the table of contrasts, so that both agree."""
    vary_K = _varying(parts_KU)
    parts = bootstrap(sums(parts_KU[:-1], one), min(draws, FEWER_DRAWS), seed, constant_K=~vary_K[:-1])
    total = bootstrap(sums(parts_KU[-1:], one), draws, seed)
    ends = zip(parts.interval(bounds=(-1, 1)), total.interval(bounds=(-1, 1)))
    low, high = (np.append(some, last) for some, last in ends)
    whole = [k for k in range(len(low)) if np.array_equal(parts_KU[k], parts_KU[-1], equal_nan=True)]
    low[whole], high[whole] = low[-1], high[-1]  # a part that makes up the whole loss has its interval
    return np.append(parts.means_K, total.means_K), low, high


def _varying(parts_KU: Array) -> Any:
    """Which components are not zero by definition; the total always counts."""
    vary = (np.nan_to_num(parts_KU) != 0).any(axis=1)
    vary[-1] = True
    return vary


def _cells(one: Cube, there: Mapping[str, Levels], reference: str, condition: str) -> dict[Levels, str]:
    """Conditions by their levels, where their units cover those that reference and condition share; both ends come first."""
    shared = _shared(one, [reference, condition])
    cells = {there[reference]: reference}
    cells.setdefault(there[condition], condition)
    for name, cell in there.items():
        if (_shared(one, [name]) | ~shared).all():
            cells.setdefault(cell, name)
    return cells


def _shared(one: Cube, names: list[str]) -> Any:
    return np.isfinite(one.strict_CU[[one.at(name) for name in names]]).all(axis=0)


# -- paths through the factorial


def find_paths(reference: Levels, condition: Levels, cells: Mapping[Levels, str]) -> Paths:
    """The chains of existing cells with the most steps, and the cells of the full factorial that are missing."""
    moved = [i for i in range(len(AXES)) if reference[i] != condition[i]]
    subsets = [frozenset(some) for size in range(len(moved) + 1) for some in combinations(moved, size)]
    existing = [subset for subset in subsets if between(reference, condition, subset) in cells]
    missing = [between(reference, condition, subset) for subset in subsets if subset not in existing]
    chains = _chains(existing, frozenset(moved))
    longest = max(map(len, chains))
    return Paths([chain for chain in chains if len(chain) == longest], missing)


def _chains(existing: list[Moved], end: Moved) -> list[Chain]:
    """Every maximal chain of subsets from none to all; `existing` is sorted by size."""
    chains: dict[Moved, list[Chain]] = {frozenset(): [(frozenset(),)]}
    for subset in existing[1:]:
        chains[subset] = [(*chain, subset) for smaller in existing if smaller < subset for chain in chains[smaller]]
    return chains[end]


def single_steps(chain: Chain) -> dict[int, int]:
    """For each axis that is switched alone, the position of the step."""
    steps = {}
    for position, (before, after) in enumerate(pairwise(chain)):
        if len(after - before) == 1:
            (axis,) = after - before
            steps[axis] = position
    return steps


# -- the values of the parts, unit by unit


def component_values(one: Cube, paths: Paths, cells: Mapping[Levels, str], reference: str, condition: str) -> Array:
    """`COMPONENTS` x units; NaN outside the units that reference and condition share. Columns sum to the total."""
    whole, cut, read = _scores(one, reference, condition)
    start, end = one.at(reference), one.at(condition)
    shared = np.isfinite(one.strict_CU[start] - one.strict_CU[end])
    parts_KU = np.zeros((len(COMPONENTS), len(shared)))
    for axis in paths.separated:
        parts_KU[axis] = _mean_step(one, paths, axis, whole, condition, reference, cells)
    if _unseparated(paths) or condition not in cells.values():  # the latter: its levels are those of the reference
        parts_KU[COMPONENTS.index("residual")] = whole[start] - whole[end] - parts_KU[: len(AXES)].sum(axis=0)
    parts_KU[COMPONENTS.index("truncation")] = cut[end] - cut[start]
    parts_KU[COMPONENTS.index("reading")] = read[end] - read[start]
    parts_KU[-1] = one.strict_CU[start] - one.strict_CU[end]
    parts_KU[:, ~shared] = np.nan
    return parts_KU


def _scores(one: Cube, reference: str, condition: str) -> tuple[Array, Array, Array]:
    """For every condition and unit: the score of a complete reply, what truncation takes of it, and what reading takes."""
    start, end = one.at(reference), one.at(condition)
    cut = np.zeros_like(one.latent_CU)
    for i, name in enumerate(one.conditions):
        other = one.latent_CU[end] if i == start else one.latent_CU[start]
        cut[i] = (one.truncated_CU[i] == 1) & (one.latent_CU[i] == 0) & (other == 1)
        if name + RERUN in one.conditions:
            rerun = one.latent_CU[one.at(name + RERUN)]
            cut[i] = np.where(np.isfinite(rerun) & (one.truncated_CU[i] == 1), rerun - one.latent_CU[i], 0.0)
    return one.latent_CU + cut, cut, one.latent_CU - one.strict_CU


def _mean_step(
    one: Cube, paths: Paths, axis: int, whole: Array, condition: str, reference: str, cells: Mapping[Levels, str]
) -> Array:
    ends = {name: cell for cell, name in cells.items()}
    steps = []
    for chain in paths.chains:
        position = single_steps(chain).get(axis)
        if position is not None:
            before, after = (
                one.at(cells[between(ends[reference], ends[condition], moved)]) for moved in chain[position : position + 2]
            )
            steps.append(whole[before] - whole[after])
    return np.mean(steps, axis=0)


def _unseparated(paths: Paths) -> list[int]:
    """Axes that some chain switches together; their common share is the residual."""
    return sorted({axis for chain in paths.chains for a, b in pairwise(chain) if len(b - a) > 1 for axis in b - a})


def _notes(
    paths: Paths, reference: Levels, condition: Levels, names: Mapping[Levels, str], one: Cube, name: str
) -> dict[str, str]:
    missing = ", ".join(describe(cell, names) for cell in paths.missing)
    notes = {AXES[i]: "not varied" for i in range(len(AXES)) if reference[i] == condition[i]}
    if joint := _unseparated(paths):
        axes = " + ".join(AXES[i] for i in joint)
        notes["residual"] = f"{axes}: not separated without {missing}"
        notes |= {AXES[i]: "in residual" for i in joint if i not in paths.separated}
    if missing:
        notes |= {AXES[i]: f"{len(paths.chains)} order(s); missing: {missing}" for i in paths.separated}
    if reference == condition:
        notes["residual"] = "the settings equal those of the reference: what differs lies outside the axes"
    rerun = name + RERUN in one.conditions
    return notes | {"truncation": "rerun of truncated items" if rerun else "bound: cut off, wrong, and right on the other side"}
