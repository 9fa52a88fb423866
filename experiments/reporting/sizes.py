"""How large a study must be to detect a difference, and what that costs: the answer to `experiments.plan detect=3`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from fmtbench.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from fmtbench.analysis.statistics.components import Components
    from fmtbench.analysis.statistics.pairs import Pair
    from fmtbench.analysis.statistics.sizes import Size

KINDS = ("these prompts", "prompts like these")
"""The two intervals of a difference: for the prompts used, and for all prompts like them."""


class StudyLimits(NamedTuple):
    """The most that a study may have of each thing."""

    items: Mapping[str, int]
    """The number of items of each task."""
    prompts: int
    conditions: int
    """The number of conditions in the study: the more there are, the more is learnt about prompts."""
    samples: bool
    """Whether a second sample can differ from the first: not at temperature 0."""


class Price(NamedTuple):
    """What a mean reply takes."""

    tokens: float
    seconds: float


def size_lines(
    rows: pd.DataFrame,
    pairs: Mapping[str, Sequence[Pair]],
    points: float,
    limits: StudyLimits,
    speed: float | None,
    say: Callable[[float], str],
) -> list[str]:
    """The cheapest size at which each contrast shows `points` four times in five, for both kinds of intervals.

    `rows`: the pilot's rows of one backbone; `speed`: tokens per second, by default the pilot's; `say`: formats seconds as text.
    Raises `UserError` if the pilot lacks a contrast.
    """
    known = {(task, pair): _known(rows, task, pair) for task, some in pairs.items() for pair in some}
    lines = [
        f"To see {points:g} points four times in five (two-sided 5%, before Holm), the cheapest size; both conditions' cost:"
    ]
    for (task, pair), one in known.items():
        lines.append(f"  {task}: {pair.condition} - {pair.reference} (pilot: {_pilot(one)})")
        for kind, conditions in zip(KINDS, (None, limits.conditions)):
            lines.append(f"    {kind}: {_answer(rows, task, pair, one, points, limits, conditions, speed, say)}")
    return lines


def _known(rows: pd.DataFrame, task: str, pair: Pair) -> Components:
    from fmtbench.analysis.statistics.components import components
    from fmtbench.analysis.statistics.cube import cube

    own = rows[rows["task"] == task]
    there = sorted(map(str, own["condition"].unique()))
    if lacking := [name for name in pair if name not in there]:
        has = f"it has {', '.join(there)}" if there else f"of {task} it has nothing"
        raise UserError(
            f"detect: the pilot lacks {' and '.join(lacking)} under {task} ({has}): run these with a small limit= first"
        )
    found = components(cube(own, str(own["backbone"].iloc[0]), task), pair)
    if found is None:
        raise UserError(
            f"detect: {pair.condition} and {pair.reference} share no item of {task} in the pilot: run both on the same"
        )
    return found


def _pilot(one: Components) -> str:
    import numpy as np

    parts = [f"{one.items} items", f"{one.prompts} {'prompts' if one.prompts > 1 else 'prompt'}"]
    if one.prompts == 1:
        parts.append("so nothing is known of other prompts but what is usual")
    if np.isnan(one.sampling):
        parts.append("a single sample on one side, so more samples are taken to change nothing")
    if not one.disagreed:
        parts.append("none of which disagreed: what follows is at most so large")
    return ", ".join(parts)


def _answer(
    rows: pd.DataFrame,
    task: str,
    pair: Pair,
    one: Components,
    points: float,
    limits: StudyLimits,
    conditions: int | None,
    speed: float | None,
    say: Callable[[float], str],
) -> str:
    from fmtbench.analysis.statistics.sizes import SAMPLES, cheapest

    samples = SAMPLES if limits.samples else (1,)
    found = cheapest(points / 100, one, limits.items[task], conditions, range(1, limits.prompts + 1), samples)
    if found is None:
        return _out_of_reach(task, one, points, limits, conditions)
    prices = [_price(rows, task, name) for name in pair]
    tokens = sum(found.requests * price.tokens for price in prices)
    seconds = tokens / speed if speed else sum(found.requests * price.seconds for price in prices)
    return f"{_shape(found)}: {2 * found.requests:,} requests, {tokens:,.0f} tokens, {say(seconds)}"


def _shape(size: Size) -> str:
    names = ("items", "prompts", "samples")
    return " x ".join(f"{many:,} {name if many > 1 else name[:-1]}" for many, name in zip(size, names))


def _out_of_reach(task: str, one: Components, points: float, limits: StudyLimits, conditions: int | None) -> str:
    """What the largest allowed study would show, and how many prompts would be enough."""
    from fmtbench.analysis.statistics.sizes import SAMPLES, Size, cheapest, smallest

    most = Size(limits.items[task], limits.prompts, SAMPLES[-1] if limits.samples else 1)
    best = smallest(one, most, conditions)
    seen = f"{100 * best:.1f} points with {_shape(most)}" if best == best else "nothing with a single prompt"
    wanted = cheapest(points / 100, one, limits.items[task], conditions, samples=(1,))
    further = f"; {wanted.prompts} prompts would do (most_prompts=)" if wanted else "; more prompts would not do either"
    return f"out of reach with the {limits.items[task]:,} items of {task}: at best {seen}{further}"


def _price(rows: pd.DataFrame, task: str, condition: str) -> Price:
    own: Any = rows[(rows["task"] == task) & (rows["condition"] == condition)]
    return Price(float(own["completion_tokens"].mean()), float(own["seconds"].mean()))
