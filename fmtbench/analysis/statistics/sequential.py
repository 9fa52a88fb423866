"""When a study may be stopped before it is complete: group-sequential boundaries with alpha spending.

Testing at every look rejects true nulls far more often than once in twenty. Here the looks share the level: at a share t of the
planned items, the level spent so far is what Lan and DeMets (1983, Biometrika 70:659) allow with a curve that comes close to
O'Brien and Fleming's boundary, 2 (1 - Phi(z(alpha/4) / sqrt t)) on each side. Almost all of it is left for the last look, which
is nearly the test of a study without looks.

The boundaries are solved for in turn: the density of the score among studies that have crossed none is carried from look to look
by numerical integration (Armitage, McPherson and Rowe 1969, Journal of the Royal Statistical Society A 132:235).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize, special

from fmtbench.analysis.statistics.cube import Array
from fmtbench.analysis.statistics.exact import LEVEL
from fmtbench.errors import UserError

POINTS = 801
"""Of the grid that carries the density."""
FARTHEST = 8.0
"""In standard deviations; a boundary beyond this is none."""
MOST_LOOKS = 50


class Look(NamedTuple):
    """One look at a study."""

    share: float
    """Of the planned items."""
    spent: float
    """Of the level, by this look and all before it."""
    z: float
    """A difference with |z| at least this has crossed the boundary; inf where nothing may be spent yet."""

    @property
    def p(self) -> float:
        """The boundary as a two-sided p of this look alone."""
        return float(2 * special.ndtr(-self.z))


def which_look(text: str) -> tuple[int, int]:
    """`2/4` as (2, 4). Raises `UserError` for anything that is not a look of a study."""
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of) <= MOST_LOOKS):
        raise UserError(f"look={text}: give the number of this look and of all, such as look=2/4 (at most {MOST_LOOKS} looks)")
    return int(number), int(of)


def shares(number: int, of: int, now: float) -> list[float]:
    """The shares of items at the looks up to this one: evenly spaced before it, `now` at it, and 1 at the last.

    Raises `UserError` where there are no more items than the previous look had.
    """
    if number == of:
        now = 1.0
    elif not (number - 1) / of < now < 1:
        raise UserError(
            f"look={number}/{of}: {100 * now:.0f}% of the planned items are there, but it is the look between "
            f"{100 * (number - 1) / of:.0f}% and 100%: give the look that fits, and in limit= the items planned in all"
        )
    return [*(k / of for k in range(1, number)), now]


def spending(share: float, level: float = LEVEL) -> float:
    """How much of the two-sided level may be spent by the time this share of the items is in."""
    return float(min(level, 4 * special.ndtr(special.ndtri(level / 4) / np.sqrt(share))))


def boundaries(at: Sequence[float], level: float = LEVEL) -> list[Look]:
    """One look for each share; shares increase, up to at most 1."""
    grid = np.linspace(-FARTHEST, FARTHEST, POINTS)
    density: Array | None = None
    looks: list[Look] = []
    for share in at:
        before = looks[-1] if looks else Look(0.0, 0.0, np.inf)
        spent = spending(share, level)
        z = _edge(density, grid, before, share, spent - before.spent)
        looks.append(Look(share, spent, z))
        density, grid = _carried(density, grid, before, looks[-1])
    return looks


def _edge(density: Array | None, grid: Array, before: Look, share: float, spend: float) -> float:
    """The boundary that, without an effect, studies cross first at this look with probability `spend`."""
    if spend < 2 * special.ndtr(-FARTHEST):
        return float("inf")

    def crossed(z: float) -> float:
        return _beyond(density, grid, before, share, z) - spend

    return float(optimize.brentq(crossed, 0.0, FARTHEST, xtol=1e-10))


def _beyond(density: Array | None, grid: Array, before: Look, share: float, z: float) -> float:
    """Probability of |Z| > z now, among studies still under way; Z sqrt(t) is a Brownian motion."""
    if density is None:
        return float(2 * special.ndtr(-z))
    step = np.sqrt(share - before.share)
    at, edge = grid * np.sqrt(before.share), z * np.sqrt(share)
    leaves = special.ndtr((-edge + at) / step) + special.ndtr((-edge - at) / step)
    return float(_integral(density * leaves, grid))


def _carried(density: Array | None, grid: Array, before: Look, now: Look) -> tuple[Array, Array]:
    """Density of Z at this look among studies that have crossed no boundary, on a grid between the boundaries."""
    edge = min(now.z, FARTHEST)
    new = np.linspace(-edge, edge, POINTS)
    if density is None:
        return _normal(new), new
    step = np.sqrt(now.share - before.share)
    moves = (new[:, None] * np.sqrt(now.share) - grid[None] * np.sqrt(before.share)) / step
    return np.array([_integral(density * some, grid) for some in _normal(moves)]) * np.sqrt(now.share) / step, new


def _normal(x: Array) -> Array:
    density: Array = np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi)
    return density


def _integral(values: Array, grid: Array) -> float:
    """Simpson's rule over an odd number of points."""
    weight = np.ones(len(grid))
    weight[1:-1:2], weight[2:-1:2] = 4, 2
    return float(weight @ values * (grid[1] - grid[0]) / 3)
