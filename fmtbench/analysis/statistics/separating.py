"""Which missing cells would separate what a decomposition cannot: those whose run leaves fewer axes in the residual."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from fmtbench.analysis.rows.levels import AXES, PROSE, Levels, describe, levels, settings_at
from fmtbench.analysis.statistics.orders import find_paths
from fmtbench.conditions.axes import REFERENCE, Axes


class Separation(NamedTuple):
    """What one condition lacks, against the reference."""

    condition: str
    axes: tuple[str, ...]
    """Axes that the existing conditions switch only together."""
    cells: tuple[str, ...]
    """Any one of these would separate more of them: a preset's name, or the settings that such a condition needs. Where no
    single one does, all that are missing."""


def separations(
    axes: Mapping[str, Mapping[str, Any]],
    presets: Mapping[str, Mapping[str, Any]],
    conditions: Iterable[str] | None = None,
    reference: str = REFERENCE,
) -> list[Separation]:
    """What is missing for each of the `conditions` (by default all) whose loss cannot be divided among the axes it switches.

    `axes`: settings of the conditions that exist, by name, including the reference; `presets`: of those that could be run.
    """
    fields = any(settings.get("asked") == PROSE for settings in axes.values())
    known = {name: levels(settings, fields) for name, settings in axes.items()}
    names = {levels(settings, fields): name for name, settings in reversed([*presets.items(), *axes.items()])}
    there = {cell: name for name, cell in known.items()}
    wanted = [name for name in (axes if conditions is None else conditions) if name in known and name != reference]
    found = (_separation(name, known[reference], known[name], there, names) for name in wanted)
    return [one for one in found if one]


def _separation(
    name: str, reference: Levels, condition: Levels, there: Mapping[Levels, str], names: Mapping[Levels, str]
) -> Separation | None:
    paths = find_paths(reference, condition, there)
    joint = paths.unseparated
    if not joint:
        return None

    def left(cell: Levels) -> int:
        return len(find_paths(reference, condition, {**there, cell: ""}).unseparated)

    possible = [cell for cell in paths.missing if cell in names or _is_possible(cell)] or paths.missing
    helping = [cell for cell in possible if left(cell) < len(joint)] or possible
    helping.sort(key=lambda cell: (cell not in names, left(cell)))
    return Separation(name, tuple(AXES[i] for i in joint), tuple(describe(cell, names) for cell in helping))


def _is_possible(cell: Levels) -> bool:
    """Whether its levels can go together; a list of steps and free text, for one, cannot."""
    settings = settings_at(cell)
    order = {"order": "answer_only"} if settings["reasoning"] == "none" else {}
    try:
        Axes(**{**settings, **order})
    except ValidationError as error:
        return "contradicts" not in str(error)
    return True
