"""Which two conditions a contrast compares, and their difference unit by unit."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from fmtbench.analysis.statistics.cube import RERUN, Array, Cube
from fmtbench.conditions.axes import REFERENCE
from fmtbench.errors import UserError


class Pair(NamedTuple):
    condition: str
    reference: str


def planned_pairs(planned: Sequence[Mapping[str, str] | str], reference: str = REFERENCE) -> list[Pair]:
    """A bare name is compared with the reference; a mapping names both. Keeps the given order."""
    pairs = []
    for one in planned:
        given = {"condition": one} if isinstance(one, str) else dict(one)
        if "condition" not in given or set(given) - {"condition", "reference"}:
            raise UserError(f"planned contrast {given}: give condition, and reference where it is not {reference}")
        pairs.append(Pair(given["condition"], given.get("reference", reference)))
    return pairs


def check_planned(wanted: Sequence[Pair], known: Collection[str]) -> None:
    """Raises `UserError` where a planned contrast names a condition that is neither in the rows nor a preset."""
    for name in dict.fromkeys(name for pair in wanted for name in pair):
        if name not in known:
            near = get_close_matches(name, known, n=3) or sorted(known)
            raise UserError(f"planned contrast names the condition {name}, which is unknown: did you mean {', '.join(near)}?")


def pairs_of(one: Cube, reference: str, wanted: Sequence[Pair]) -> list[Pair]:
    """Every condition against the reference, then the planned pairs that exist."""
    others = [name for name in one.conditions if name != reference and not name.endswith(RERUN)]
    against = [Pair(name, reference) for name in others if reference in one.conditions]
    there = [pair for pair in wanted if set(pair) <= set(one.conditions) and pair.condition != pair.reference]
    return list(dict.fromkeys(against + there))


def difference_KU(one: Cube, pairs: Sequence[Pair], reading: str = "strict") -> Array:
    """Condition minus reference for each of K pairs; NaN where either lacks the unit."""
    score_CU = one.scores(reading)
    ours, base = ([one.at(name) for name in names] for names in zip(*pairs))
    return score_CU[ours] - score_CU[base]
