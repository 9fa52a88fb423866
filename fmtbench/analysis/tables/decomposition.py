"""What a loss is made of: D = A(free) - A(c) = wording + asking + masking + order + length + truncation + another mark + reading.

With l a lenient verdict, m a marked one, s a strict one and t what truncation takes, a strict score is
s = (l + t) - t - (m - s) - (l - m). The first bracket is the score of complete, well-read replies; its loss is divided among
the axes of the design by averaging over all orders of switching them that exist (see `statistics.orders`). The other terms are
truncation, right answers under a mark other than the requested one, and right answers under no mark. So the parts sum to D
exactly. Samples of an item and prompt are averaged first, as in the contrasts.

What a truncated reply would have been is known only where rows of a condition `<name>_rerun` exist (its truncated items at
four times the budget). Elsewhere t is 0, so that a wrong reply that was cut counts with the axes, and the range of
truncation says how much of the loss it could be: none or all of the condition's replies that were cut and wrong.

Wording and asking are separated where a condition `asked: prose` names the fields of a format without the format. A format
that applies only to the answer, or in a second pass, is a level of asking and masking of its own (see `rows.levels`).

What no existing cell can separate is `residual`; its `note` names the axes in it and the cells that would separate them.
Where the reference, two axes alone and both together exist, `asking x masking` is their interaction: the loss of both
together beyond the sum of the two. It is not a term of the sum; each order gives it to the axis that comes last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fmtbench.analysis.rows.levels import AXES, PROSE, Levels, between, describe, levels
from fmtbench.analysis.statistics.bootstrap import DRAWS, FEWER_DRAWS, SEED, bootstrap
from fmtbench.analysis.statistics.cube import RERUN, Array, Cube, Sums, average, cells, cubes, sums
from fmtbench.analysis.statistics.orders import Paths, find_paths
from fmtbench.analysis.statistics.pairs import Pair
from fmtbench.conditions.axes import REFERENCE
from fmtbench.errors import UserError

PARTS = (*AXES, "residual", "truncation", "another mark", "reading", "total")
"""In the order of tables and figures."""
THINKING = "thinking"
COMPONENTS = tuple(name for name in PARTS if name != THINKING)
"""Those that every loss has; where condition and reference differ in thinking, there is `thinking` too."""


class Scores(NamedTuple):
    """Scores of averaged cells, by condition."""

    whole_CU: Array
    """Of a complete, well-read reply, as far as it is known."""
    cut_CU: Array
    """What truncation took from it: known from a rerun, or else 0."""
    doubt_CU: Array
    """What truncation may have taken besides: replies that were cut and wrong, and not run again."""
    mark_CU: Array
    """Right answers that only another mark states."""
    read_CU: Array
    """Right answers that no mark states."""


class LossParts(NamedTuple):
    names: list[str]
    values_KU: Array
    """NaN outside the cells that reference and condition share. The rows of `COMPONENTS` except the last sum to the last."""
    range_K: list[tuple[float, float]]
    """Smallest and largest mean over the orders; for truncation, what it could be; NaN where there is no such range."""
    orders_K: list[int]


def decomposition_table(
    rows: pd.DataFrame,
    axes: Mapping[str, Mapping[str, Any]],
    reference: str = REFERENCE,
    presets: Mapping[str, Mapping[str, Any]] | None = None,
    draws: int = DRAWS,
    seed: int = SEED,
) -> pd.DataFrame:
    """One row for each backbone, task, condition and component; shares, positive where accuracy is lost.

    `axes`: settings of the conditions, by name; `presets`: settings of conditions that could be run, used to name missing cells.
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
    scores, averaged = scores_of(one), cells(one)
    for condition in there if reference in there else ():
        shared = condition != reference and _shared(averaged, [reference, condition]).any()
        if shared:
            yield from _one(averaged, scores, there, names, Pair(condition, reference), draws, seed)


def _one(
    one: Cube,
    scores: Scores,
    there: Mapping[str, Levels],
    names: Mapping[Levels, str],
    pair: Pair,
    draws: int,
    seed: int,
) -> Iterator[dict[str, Any]]:
    condition, reference = pair
    design = _cells(one, there, reference, condition)
    paths = find_paths(there[reference], there[condition], design)
    parts = component_values(one, scores, paths, design, reference, condition)
    value, low, high = _intervals(parts, one, draws, seed)
    notes = _notes(paths, there[reference], there[condition], names, one, condition)
    for k, component in enumerate(parts.names):
        yield {
            "backbone": one.backbone,
            "task": one.task,
            "condition": condition,
            "reference": reference,
            "component": component,
            "value": value[k],
            "low": low[k],
            "high": high[k],
            "range_low": parts.range_K[k][0],
            "range_high": parts.range_K[k][1],
            "orders": parts.orders_K[k],
            "n": len(np.unique(one.item_U[_shared(one, [reference, condition])])),
            "note": notes.get(component, ""),
        }


def _intervals(parts: LossParts, one: Cube, draws: int, seed: int) -> tuple[Array, Array, Array]:
    """Value, low and high of each component; the total gets as many draws as in the contrasts, so that the two agree."""
    last, values_KU = parts.names.index("total"), parts.values_KU
    whole_K = np.array([np.array_equal(value_U, values_KU[last], equal_nan=True) for value_U in values_KU])
    summed = sums(values_KU, one)
    low, high = np.empty((2, len(values_KU)))
    low[whole_K], high[whole_K] = bootstrap(sums(values_KU[[last]], one), draws, seed).interval(bounds=(-1, 1))
    rest = ~whole_K  # a part that is the whole loss gets the total's interval
    if rest.any():
        constant_K = ~(np.nan_to_num(values_KU[rest]) != 0).any(axis=1)  # zero by definition
        most = np.array([1.0 if name in PARTS and name != "residual" else 2.0 for name in parts.names])[rest]
        some = Sums(summed.value_IPK[:, :, rest], summed.count_IPK[:, :, rest])
        drawn = bootstrap(some, min(draws, FEWER_DRAWS), seed, constant_K=constant_K)
        low[rest], high[rest] = drawn.interval(bounds=(-most, most))
    return summed.means(), low, high


def _cells(one: Cube, there: Mapping[str, Levels], reference: str, condition: str) -> dict[Levels, str]:
    """Conditions by their levels, if their units cover those that reference and condition share; these two come first."""
    shared = _shared(one, [reference, condition])
    cells = {there[reference]: reference}
    cells.setdefault(there[condition], condition)
    for name, cell in there.items():
        if (_shared(one, [name]) | ~shared).all():
            cells.setdefault(cell, name)
    return cells


def _shared(one: Cube, names: list[str]) -> Any:
    return np.isfinite(one.strict_CU[[one.at(name) for name in names]]).all(axis=0)


# -- the values of the parts, cell by cell


def scores_of(one: Cube) -> Scores:
    cut = np.zeros_like(one.latent_CU)
    doubt = np.where(np.isfinite(one.latent_CU), (one.truncated_CU == 1) & (one.latent_CU == 0), np.nan)
    for i, name in enumerate(one.conditions):
        if name + RERUN in one.conditions:
            rerun_U = one.latent_CU[one.at(name + RERUN)]
            again = np.isfinite(rerun_U) & (one.truncated_CU[i] == 1)
            cut[i], doubt[i] = np.where(again, rerun_U - one.latent_CU[i], 0.0), np.where(again, 0.0, doubt[i])
    whole = one.latent_CU + cut
    readings = (one.marked_CU - one.strict_CU, one.latent_CU - one.marked_CU)
    return Scores(*(average(some, one) for some in (whole, whole - one.latent_CU, doubt, *readings)))


def component_values(
    one: Cube, scores: Scores, paths: Paths, design: Mapping[Levels, str], reference: str, condition: str
) -> LossParts:
    """`one`: averaged cells; `design`: the conditions that exist, by their levels."""
    start, end = one.at(reference), one.at(condition)
    shared = _shared(one, [reference, condition])
    ends = {name: cell for cell, name in design.items()}

    def at(moved: frozenset[int]) -> Array:
        whole_U: Array = scores.whole_CU[one.at(design[between(ends[reference], ends[condition], moved)])]
        return whole_U

    loss_U = scores.whole_CU[start] - scores.whole_CU[end]
    steps = {axis: [at(before) - at(after) for before, after in paths.steps(axis)] for axis in paths.separated}
    values = dict.fromkeys(PARTS, np.zeros(len(shared))) | {AXES[axis]: np.mean(some, axis=0) for axis, some in steps.items()}
    if paths.unseparated or condition not in ends:  # the latter: its levels equal those of the reference
        values["residual"] = loss_U - np.sum([values[axis] for axis in AXES], axis=0)
    if (thinking := AXES.index(THINKING)) not in {*paths.separated, *paths.unseparated}:
        assert not values.pop(AXES[thinking]).any()
    values["truncation"] = scores.cut_CU[end] - scores.cut_CU[start]
    values["another mark"] = scores.mark_CU[end] - scores.mark_CU[start]
    values["reading"] = scores.read_CU[end] - scores.read_CU[start]
    values["total"] = one.strict_CU[start] - one.strict_CU[end]
    for i, j in paths.squares:
        both = at(frozenset({i})) + at(frozenset({j})) - at(frozenset()) - at(frozenset({i, j}))
        values[f"{AXES[i]} x {AXES[j]}"] = both
    ranges = {AXES[axis]: _range([float(step[shared].mean()) for step in some]) for axis, some in steps.items()}
    truncated = float(values["truncation"][shared].mean())
    doubt = [float(scores.doubt_CU[i, shared].mean()) for i in (start, end)]
    ranges["truncation"] = (truncated - doubt[0], truncated + doubt[1])
    return LossParts(
        names=list(values),
        values_KU=np.where(shared, np.vstack(list(values.values())), np.nan),
        range_K=[ranges.get(name, (np.nan, np.nan)) for name in values],
        orders_K=[len(steps.get(AXES.index(name), [])) if name in AXES else 0 for name in values],
    )


def _range(means: list[float]) -> tuple[float, float]:
    return min(means), max(means)


def _notes(
    paths: Paths, reference: Levels, condition: Levels, names: Mapping[Levels, str], one: Cube, name: str
) -> dict[str, str]:
    missing = ", ".join(describe(cell, names) for cell in paths.missing)
    notes = {AXES[i]: "not varied" for i in range(len(AXES)) if reference[i] == condition[i]}
    if joint := paths.unseparated:
        axes = " + ".join(AXES[i] for i in joint)
        notes["residual"] = f"{axes}: not separated without {missing}"
        notes |= {AXES[i]: "in residual" for i in joint if i not in paths.separated}
    if missing:
        notes |= {AXES[i]: f"{_orders(len(paths.steps(i)))}; missing: {missing}" for i in paths.separated}
    if reference == condition:
        notes["residual"] = "the settings equal those of the reference: what differs lies outside the axes"
    rerun = name + RERUN in one.conditions
    return notes | {"truncation": "rerun of truncated items" if rerun else "range: none to all of what was cut off and wrong"}


def _orders(number: int) -> str:
    return "1 order" if number == 1 else f"{number} orders"
